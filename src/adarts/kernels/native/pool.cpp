// The pools of pool.h, of all images.
#include "pool.h"

namespace adarts {

template <class T>
void pools(const int64_t* sizes, const T* x, int64_t stride, T* largest, T* average, uint8_t* tap_of_largest, int64_t threads) {
  const Pooled s{sizes[1], sizes[2], sizes[3], stride};
  const Pools<T> pools(s);
  in_parallel(threads, sizes[0] * s.out_height(), [&](int64_t begin, int64_t end, int) {
    typename Pools<T>::Room room;
    for (int64_t r = begin; r < end; r++) {
      const int64_t place = r * s.out_length();
      pools.row(x + r / s.out_height() * s.in_size(), r % s.out_height(), largest + place, average + place,
                tap_of_largest + place, room);
    }
  });
}

template <class T>
void pools_backward(const T* g_largest, const T* g_average, const uint8_t* tap_of_largest, const int64_t* sizes, int64_t stride,
                    T* gx, int64_t threads) {
  const Pooled s{sizes[1], sizes[2], sizes[3], stride};
  const Pools<T> pools(s);
  in_parallel(threads, sizes[0], [&](int64_t begin, int64_t end, int) {
    Array<T> scaled;
    typename Pools<T>::Room which;
    for (int64_t b = begin; b < end; b++) {
      const int64_t place = b * s.out_size();
      std::fill_n(gx + b * s.in_size(), s.in_size(), T(0));
      pools.add_gradient(g_largest + place, g_average + place, tap_of_largest + place, gx + b * s.in_size(), scaled,
                         which);
    }
  });
}

template <class T>
void global_pools(int64_t batch, int64_t pixels, int64_t n, const T* x, T* mean, T* largest, int32_t* pixel, int64_t threads) {
  in_parallel(threads, batch, [&](int64_t begin, int64_t end, int) {
    for (int64_t b = begin; b < end; b++)
      pool_image(x + b * pixels * n, pixels, n, mean + b * n, largest + b * n, pixel + b * n);
  });
}

template <class T>
void global_pools_backward(const T* g_mean, const T* g_largest, const int32_t* pixel, const int64_t* sizes, T* gx,
                           int64_t threads) {
  const int64_t batch = sizes[0], n = sizes[1], pixels = sizes[2] * sizes[3];
  in_parallel(threads, batch, [&](int64_t begin, int64_t end, int) {
    Array<T> everywhere(n);
    for (int64_t b = begin; b < end; b++) {
      for (int64_t c = 0; c < n; c++) everywhere[c] = g_mean[b * n + c] / pixels;
      T* image = gx + b * pixels * n;
      for (int64_t p = 0; p < pixels; p++) std::copy(everywhere.begin(), everywhere.end(), image + p * n);
      for (int64_t c = 0; c < n; c++) image[pixel[b * n + c] * n + c] += g_largest[b * n + c];
    }
  });
}

}  // namespace adarts

ADARTS_KERNEL(pools)
ADARTS_KERNEL(pools_backward)
ADARTS_KERNEL(global_pools)
ADARTS_KERNEL(global_pools_backward)

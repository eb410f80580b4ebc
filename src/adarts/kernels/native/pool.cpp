// 3x3 max and average pooling of a feature map in one pass; the average excludes the padding. Also the mean and the maximum
// over all pixels.
#include <limits>
#include <type_traits>

#include "vector.h"

namespace adarts {
namespace {

struct Shape {
  int64_t batch, n, height, width, stride;
  Shape(const int64_t* sizes, int64_t stride)
      : batch(sizes[0]), n(sizes[1]), height(sizes[2]), width(sizes[3]), stride(stride) {}
  int64_t out_height() const { return (height + stride - 1) / stride; }
  int64_t out_width() const { return (width + stride - 1) / stride; }
  int64_t out_length() const { return out_width() * n; }
};

// Call body(tap, position in the output row, position in the image, length) for every contiguous part of the input that output
// row i reads with one tap.
template <class Body>
void for_taps(const Shape& s, int64_t i, Body body) {
  for (int a = -1; a <= 1; a++) {
    const int64_t row = i * s.stride + a;
    if (row < 0 || row >= s.height) continue;
    for (int b = -1; b <= 1; b++) {
      const int tap = (a + 1) * 3 + b + 1;
      if (s.stride == 1) {
        const int64_t from = b < 0 ? 1 : 0, to = b > 0 ? s.width - 1 : s.width;
        if (to > from) body(tap, from * s.n, (row * s.width + from + b) * s.n, (to - from) * s.n);
      } else {
        for (int64_t j = 0; j < s.out_width(); j++) {
          const int64_t column = j * s.stride + b;
          if (column >= 0 && column < s.width) body(tap, j * s.n, (row * s.width + column) * s.n, s.n);
        }
      }
    }
  }
}

int64_t inside(int64_t i, int64_t stride, int64_t size) {
  int64_t count = 0;
  for (int a = -1; a <= 1; a++) count += i * stride + a >= 0 && i * stride + a < size;
  return count;
}

// 1 / (number of columns inside the image), for each output of a row.
template <class T>
Array<T> column_shares(const Shape& s) {
  Array<T> result(s.out_length());
  for (int64_t t = 0; t < s.out_length(); t++) result[t] = T(1) / inside(t / s.n, s.stride, s.width);
  return result;
}

}  // namespace

// `tap_of_largest` records which of the nine pixels is the maximum. As in torch, it is the first maximum or the last NaN.
template <class T>
void pools(const int64_t* sizes, const T* x, int64_t stride, T* largest, T* average, uint8_t* tap_of_largest, int64_t threads) {
  const Shape s(sizes, stride);
  const Array<T> share = column_shares<T>(s);
  const int64_t length = s.out_length();
  // During the comparison, taps have the width of the numbers; otherwise the loop would not use whole vectors.
  typedef typename std::conditional<sizeof(T) == 4, int32_t, int64_t>::type Index;
  in_parallel(threads, s.batch * s.out_height(), [&](int64_t begin, int64_t end, int) {
    std::vector<Index> which(length);
    for (int64_t r = begin; r < end; r++) {
      const int64_t i = r % s.out_height();
      const T* image = x + r / s.out_height() * s.height * s.width * s.n;
      T* __restrict m = largest + r * length;
      T* __restrict a = average + r * length;
      Index* __restrict w = which.data();
      std::fill_n(m, length, -std::numeric_limits<T>::infinity());
      std::fill_n(a, length, T(0));
      std::fill_n(w, length, Index(4));  // the center is always inside
      for_taps(s, i, [&](int tap, int64_t out, int64_t in, int64_t count) {
        const T* __restrict from = image + in;
        for (int64_t t = 0; t < count; t++) {
          const T value = from[t];
          const bool larger = value > m[out + t] || value != value;
          m[out + t] = larger ? value : m[out + t];
          w[out + t] = larger ? Index(tap) : w[out + t];
          a[out + t] += value;
        }
      });
      const T rows = T(1) / inside(i, s.stride, s.height);
      for (int64_t t = 0; t < length; t++) a[t] *= share[t] * rows;
      std::copy(which.begin(), which.end(), tap_of_largest + r * length);
    }
  });
}

template <class T>
void pools_backward(const T* g_largest, const T* g_average, const uint8_t* tap_of_largest, const int64_t* sizes, int64_t stride,
                    T* gx, int64_t threads) {
  const Shape s(sizes, stride);
  const Array<T> share = column_shares<T>(s);
  const int64_t length = s.out_length(), size = s.height * s.width * s.n;
  in_parallel(threads, s.batch, [&](int64_t begin, int64_t end, int) {
    Array<T> scaled(length);
    for (int64_t b = begin; b < end; b++) {
      T* image = gx + b * size;
      std::fill_n(image, size, T(0));
      for (int64_t i = 0; i < s.out_height(); i++) {
        const int64_t r = b * s.out_height() + i;
        const T* __restrict m = g_largest + r * length;
        const T* __restrict a = g_average + r * length;
        const uint8_t* __restrict w = tap_of_largest + r * length;
        const T rows = T(1) / inside(i, s.stride, s.height);
        for (int64_t t = 0; t < length; t++) scaled[t] = a[t] * share[t] * rows;
        for_taps(s, i, [&](int tap, int64_t out, int64_t in, int64_t count) {
          T* __restrict to = image + in;
          const T* __restrict q = scaled.data() + out;
          for (int64_t t = 0; t < count; t++) to[t] += q[t] + (w[out + t] == tap ? m[out + t] : T(0));
        });
      }
    }
  });
}

// Mean and maximum over all pixels of an image (batch, n), and the pixel of the maximum (the first one, or the last NaN).
template <class T>
void global_pools(int64_t batch, int64_t pixels, int64_t n, const T* x, T* mean, T* largest, int32_t* pixel, int64_t threads) {
  in_parallel(threads, batch, [&](int64_t begin, int64_t end, int) {
    for (int64_t b = begin; b < end; b++) {
      T* __restrict a = mean + b * n;
      T* __restrict m = largest + b * n;
      int32_t* __restrict w = pixel + b * n;
      std::fill_n(a, n, T(0));
      std::fill_n(m, n, -std::numeric_limits<T>::infinity());
      std::fill_n(w, n, 0);
      for (int64_t p = 0; p < pixels; p++) {
        const T* __restrict from = x + (b * pixels + p) * n;
        for (int64_t c = 0; c < n; c++) {
          const bool larger = from[c] > m[c] || from[c] != from[c];
          a[c] += from[c];
          m[c] = larger ? from[c] : m[c];
          w[c] = larger ? int32_t(p) : w[c];
        }
      }
      for (int64_t c = 0; c < n; c++) a[c] /= pixels;
    }
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

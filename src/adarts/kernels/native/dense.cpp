// ReLU and a 1x1 convolution: z = W relu(x) at every pixel, or at every second one. The ReLU is applied when a tile of pixels is
// loaded. It needs no separate pass over memory, and its result is not stored.
#include "dense.h"

namespace adarts {
namespace {

constexpr int64_t tile = 64;  // pixels; they and the weights stay in the cache while all outputs are computed

template <class T>
Halves<T> halves(const int64_t* sizes, const T* even, const T* odd) {
  return {sizes[1], sizes[2], sizes[3], sizes[4], sizes[5], sizes[6], even, odd};
}

}  // namespace

template <class T>
void relu_halved(const int64_t* sizes, const T* x, const T* even, const T* odd, T* z, int64_t threads) {
  const Halves<T> s = halves(sizes, even, odd);
  typename Halves<T>::Weights weights;
  s.prepare(true, weights);
  in_parallel(threads, sizes[0] * s.out_height(), [&](int64_t begin, int64_t end, int) {
    Array<T> active;
    for (int64_t r = begin; r < end; r++)
      s.row(weights, x + r / s.out_height() * s.in_size(), r % s.out_height(), z + r * s.out_length(), active);
  });
}

// Backward pass. Results: gx, and the gradients of both weights if `of_weights` is set.
template <class T>
void relu_halved_backward(const int64_t* sizes, const T* g, const T* x, const T* even, const T* odd, int64_t of_weights,
                          T* const* results, int64_t threads) {
  const Halves<T> s = halves(sizes, even, odd);
  typename Halves<T>::Weights weights;
  s.prepare(false, weights);
  std::vector<typename Halves<T>::Room> rooms(threads);
  in_parallel(threads, sizes[0] * s.out_height(), [&](int64_t begin, int64_t end, int share) {
    for (int64_t r = begin; r < end; r++) {
      const int64_t image = r / s.out_height() * s.in_size();
      s.row_gradient(weights, of_weights, g + r * s.out_length(), x + image, r % s.out_height(), results[0] + image, rooms[share]);
    }
  });
  for (int half = 0; of_weights && half < 2; half++) s.of_weights(rooms, half, results[1 + half]);
}

template <class T>
void relu_product(int64_t pixels, int64_t in, int64_t out, const T* x, const T* w, T* z, int64_t threads) {
  const Array<T> weight = padded(w, out, in, true);
  const int64_t pitch = rounded<T>(out);
  in_parallel(threads, (pixels + tile - 1) / tile, [&](int64_t begin, int64_t end, int) {
    Array<T> active(tile * in);
    for (int64_t first = begin * tile; first < std::min(end * tile, pixels); first += tile) {
      const int64_t count = std::min(tile, pixels - first);
      for (int64_t t = 0; t < count * in; t++) active[t] = relu(x[first * in + t]);
      multiply(active.data(), in, weight.data(), in, pitch, count, [&](int64_t p, int64_t o, Vector<T> sum) {
        store_some(z + (first + p) * out + o, sum, out - o);
      });
    }
  });
}

// Backward pass. Results: gx, and gw (out, in) if `weights` is set.
template <class T>
void relu_product_backward(int64_t pixels, int64_t in, int64_t out, const T* g, const T* x, const T* w,
                           int64_t weights, T* const* results, int64_t threads) {
  T *const gx = results[0], *const gw = weights ? results[1] : nullptr;
  constexpr int64_t V = lanes<T>;
  const Array<T> weight = padded(w, out, in, false);
  const int64_t pitch = rounded<T>(in);
  std::vector<Array<T>> sums(threads);
  in_parallel(threads, (pixels + tile - 1) / tile, [&](int64_t begin, int64_t end, int share) {
    Array<T>& part = sums[share];
    if (gw) part.resize(out * pitch);
    Array<T> active(gw ? tile * pitch : 0);
    for (int64_t first = begin * tile; first < std::min(end * tile, pixels); first += tile) {
      const int64_t count = std::min(tile, pixels - first);
      const T* gradient = g + first * out;
      multiply(gradient, out, weight.data(), out, pitch, count, [&](int64_t p, int64_t i, Vector<T> sum) {
        const int64_t at = (first + p) * in + i;
        store_behind_relu(gx + at, sum, x + at, in - i);
      });
      if (!gw) continue;
      for (int64_t p = 0; p < count; p++)
        for (int64_t i = 0; i < in; i++) active[p * pitch + i] = relu(x[(first + p) * in + i]);
      for (int64_t i = 0; i < pitch; i += V)
        add_products(active.data() + i, pitch, gradient, out, out, count, part.data() + i, pitch);
    }
  });
  if (!gw) return;
  std::vector<const Array<T>*> parts;
  for (const Array<T>& part : sums) parts.push_back(&part);
  add_parts(parts, out, in, pitch, gw);
}

}  // namespace adarts

ADARTS_KERNEL(relu_product)
ADARTS_KERNEL(relu_product_backward)
ADARTS_KERNEL(relu_halved)
ADARTS_KERNEL(relu_halved_backward)

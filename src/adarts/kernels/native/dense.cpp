// ReLU and a 1x1 convolution: z = W relu(x) at every pixel. The ReLU is applied when a tile of pixels is loaded. It needs no
// separate pass over memory, and its result is not stored.
#include "vector.h"

namespace adarts {
namespace {

constexpr int64_t tile = 64;  // pixels; they and the weights stay in the cache while all outputs are computed

template <class T>
int64_t rounded(int64_t count) {
  return (count + lanes<T> - 1) / lanes<T> * lanes<T>;
}

// A matrix, transposed if requested, with rows padded to whole vectors.
template <class T>
Array<T> padded(const T* matrix, int64_t rows, int64_t columns, bool transposed) {
  const int64_t out_rows = transposed ? columns : rows, out_columns = transposed ? rows : columns, pitch = rounded<T>(out_columns);
  Array<T> result(out_rows * pitch);
  for (int64_t r = 0; r < out_rows; r++)
    for (int64_t c = 0; c < out_columns; c++) result[r * pitch + c] = transposed ? matrix[c * columns + r] : matrix[r * columns + c];
  return result;
}

}  // namespace

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
        store_first(z + (first + p) * out + o, sum, std::min(lanes<T>, out - o));
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
        store_first(gx + (first + p) * in + i, sum, std::min(V, in - i));
      });
      for (int64_t t = first * in; t < (first + count) * in; t++) gx[t] = x[t] <= 0 ? T(0) : gx[t];
      if (!gw) continue;
      for (int64_t p = 0; p < count; p++)
        for (int64_t i = 0; i < in; i++) active[p * pitch + i] = relu(x[(first + p) * in + i]);
      for (int64_t i = 0; i < pitch; i += V)
        add_products(active.data() + i, pitch, gradient, out, out, count, part.data() + i, pitch);
    }
  });
  if (!gw) return;
  std::fill_n(gw, out * in, T(0));
  for (const auto& part : sums)
    if (!part.empty())
      for (int64_t o = 0; o < out; o++)
        for (int64_t i = 0; i < in; i++) gw[o * in + i] += part[o * pitch + i];
}

}  // namespace adarts

ADARTS_KERNEL(relu_product)
ADARTS_KERNEL(relu_product_backward)

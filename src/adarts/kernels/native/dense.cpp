// ReLU and a 1x1 convolution: z = W relu(x) at every pixel. The ReLU is taken when a tile of pixels is loaded, so it costs no
// pass over memory, and its result is not kept.
#include "vector.h"

namespace adarts {
namespace {

constexpr int unroll = 8;
constexpr int64_t tile = 64;  // pixels: they and the weights stay in the cache while all outputs are made of them

template <class T>
int64_t rounded(int64_t count) {
  return (count + lanes<T> - 1) / lanes<T> * lanes<T>;
}

// y[p, o] = sum over i of w[i, o] * x[p, i] for a tile; w (in, pitch_out), rows padded with zeros to whole vectors. `emit`
// takes the vector of outputs that starts at (p, o).
template <class T, class Emit>
void multiply(const T* x, int64_t pitch_x, const T* w, int64_t in, int64_t pitch_out, int64_t pixels, Emit emit) {
  for (int64_t o = 0; o < pitch_out; o += lanes<T>) {
    int64_t p = 0;
    for (; p + unroll <= pixels; p += unroll) {
      Vector<T> sum[unroll] = {};
      for (int64_t i = 0; i < in; i++) {
        const Vector<T> wi = load(w + i * pitch_out + o);
        for (int u = 0; u < unroll; u++) sum[u] += wi * x[(p + u) * pitch_x + i];
      }
      for (int u = 0; u < unroll; u++) emit(p + u, o, sum[u]);
    }
    for (; p < pixels; p++) {
      Vector<T> sum{};
      for (int64_t i = 0; i < in; i++) sum += load(w + i * pitch_out + o) * x[p * pitch_x + i];
      emit(p, o, sum);
    }
  }
}

// Rows of a matrix padded to whole vectors, transposed on demand.
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
void relu_product(int64_t pixels, int64_t in, int64_t out, const T* x, const T* w, T* z, int threads) {
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

// gw (out, in) may be null.
template <class T>
void relu_product_backward(int64_t pixels, int64_t in, int64_t out, const T* g, const T* x, const T* w, T* gx, T* gw, int threads) {
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
        for (int64_t o = 0; o < out; o += unroll) {
          const int64_t some = std::min<int64_t>(unroll, out - o);
          Vector<T> sum[unroll];
          for (int64_t u = 0; u < some; u++) sum[u] = load(part.data() + (o + u) * pitch + i);
          if (some == unroll)
            for (int64_t p = 0; p < count; p++) {
              const Vector<T> input = load(active.data() + p * pitch + i);
              for (int u = 0; u < unroll; u++) sum[u] += input * gradient[p * out + o + u];
            }
          else
            for (int64_t p = 0; p < count; p++)
              for (int64_t u = 0; u < some; u++) sum[u] += load(active.data() + p * pitch + i) * gradient[p * out + o + u];
          for (int64_t u = 0; u < some; u++) store(part.data() + (o + u) * pitch + i, sum[u]);
        }
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

#define ADARTS_DENSE(T, suffix)                                                                                             \
  extern "C" int adarts_relu_product_##suffix(int64_t pixels, int64_t in, int64_t out, const T* x, const T* w, T* z,        \
                                               int64_t threads) {                                                           \
    return adarts::guarded([&] { adarts::relu_product(pixels, in, out, x, w, z, threads); });                               \
  }                                                                                                                         \
  extern "C" int adarts_relu_product_backward_##suffix(int64_t pixels, int64_t in, int64_t out, const T* g, const T* x,     \
                                                        const T* w, T* gx, T* gw, int64_t threads) {                        \
    return adarts::guarded([&] { adarts::relu_product_backward(pixels, in, out, g, x, w, gx, gw, threads); });              \
  }
ADARTS_DENSE(float, float32)
ADARTS_DENSE(double, float64)

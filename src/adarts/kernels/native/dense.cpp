// ReLU and a 1x1 convolution: z = W relu(x) at every pixel, or at every second one. The ReLU is applied when a tile of pixels is loaded. It needs no
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

// The sum of what the threads found: rows of `columns` numbers, `pitch` apart in the parts. A part without work is empty.
template <class T>
void add_parts(const std::vector<Array<T>>& parts, int64_t rows, int64_t columns, int64_t pitch, T* sum) {
  std::fill_n(sum, rows * columns, T(0));
  for (const auto& part : parts)
    if (!part.empty())
      for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < columns; c++) sum[r * columns + c] += part[r * pitch + c];
}

// Two products at half the resolution: the pixels (0, 0) of every 2x2 block times one matrix, the pixels (1, 1) times another,
// for every group of channels. Beyond the border is 0.
struct Halves {
  int64_t batch, n, height, width, groups, outputs[2];

  Halves(const int64_t* sizes)
      : batch(sizes[0]), n(sizes[1]), height(sizes[2]), width(sizes[3]), groups(sizes[4]), outputs{sizes[5], sizes[6]} {}
  int64_t out_height() const { return (height + 1) / 2; }
  int64_t out_width() const { return (width + 1) / 2; }
  int64_t inputs() const { return n / groups; }                            // channels of a group
  int64_t pitch() const { return groups * (outputs[0] + outputs[1]); }     // channels of the result
  int64_t place(int64_t group, int half) const { return group * (outputs[0] + outputs[1]) + (half ? outputs[0] : 0); }
  int64_t inside(int half) const { return (width - half + 1) / 2; }        // pixels of a row that are no border

  // The matrices of all groups of a half, padded, and transposed if requested.
  template <class T>
  std::vector<Array<T>> weights(int half, const T* matrices, bool transposed) const {
    std::vector<Array<T>> result;
    for (int64_t k = 0; k < groups; k++)
      result.push_back(padded(matrices + k * outputs[half] * inputs(), outputs[half], inputs(), transposed));
    return result;
  }

  // The first number of a row of the image from which row `r` of the result takes this half; -1 beyond the border.
  int64_t from(int64_t r, int half) const {
    const int64_t i = 2 * (r % out_height()) + half;
    return i < height ? ((r / out_height() * height + i) * width + half) * n : -1;
  }
};

}  // namespace

template <class T>
void relu_halved(const int64_t* sizes, const T* x, const T* even, const T* odd, T* z, int64_t threads) {
  const Halves s(sizes);
  const std::vector<Array<T>> weights[2] = {s.weights(0, even, true), s.weights(1, odd, true)};
  in_parallel(threads, s.batch * s.out_height(), [&](int64_t begin, int64_t end, int) {
    Array<T> active(s.out_width() * s.n);
    for (int64_t r = begin; r < end; r++)
      for (int half = 0; half < 2; half++) {
        const int64_t from = s.from(r, half), outputs = s.outputs[half];
        std::fill(active.begin(), active.end(), T(0));
        for (int64_t p = 0; from >= 0 && p < s.inside(half); p++)
          for (int64_t c = 0; c < s.n; c++) active[p * s.n + c] = relu(x[from + 2 * p * s.n + c]);
        for (int64_t k = 0; k < s.groups; k++) {
          T* const to = z + r * s.out_width() * s.pitch() + s.place(k, half);
          multiply(active.data() + k * s.inputs(), s.n, weights[half][k].data(), s.inputs(), rounded<T>(outputs), s.out_width(),
                   [&](int64_t p, int64_t o, Vector<T> sum) {
                     store_first(to + p * s.pitch() + o, sum, std::min(lanes<T>, outputs - o));
                   });
        }
      }
  });
}

// Backward pass. Results: gx, and the gradients of both weights if `weights` is set.
template <class T>
void relu_halved_backward(const int64_t* sizes, const T* g, const T* x, const T* even, const T* odd, int64_t weights,
                          T* const* results, int64_t threads) {
  const Halves s(sizes);
  constexpr int64_t V = lanes<T>;
  const int64_t inputs = s.inputs(), pitch = rounded<T>(inputs);
  const std::vector<Array<T>> matrices[2] = {s.weights(0, even, false), s.weights(1, odd, false)};
  T* const gx = results[0];
  std::vector<Array<T>> parts[2] = {std::vector<Array<T>>(threads), std::vector<Array<T>>(threads)};
  in_parallel(threads, s.batch * s.out_height(), [&](int64_t begin, int64_t end, int share) {
    if (weights)
      for (int half = 0; half < 2; half++) parts[half][share].resize(s.groups * s.outputs[half] * pitch);
    Array<T> active(s.out_width() * pitch);
    for (int64_t r = begin; r < end; r++)
      for (int half = 0; half < 2; half++) {
        const int64_t from = s.from(r, half), outputs = s.outputs[half];
        if (from < 0) continue;
        T* const row = gx + from - half * s.n;
        std::fill_n(row, s.width * s.n, T(0));
        for (int64_t k = 0; k < s.groups; k++) {
          const T* const gradient = g + r * s.out_width() * s.pitch() + s.place(k, half);
          const int64_t first = from + k * inputs;
          multiply(gradient, s.pitch(), matrices[half][k].data(), outputs, pitch, s.inside(half),
                   [&](int64_t p, int64_t i, Vector<T> sum) {
                     const int64_t at = first + 2 * p * s.n + i;
                     store_behind_relu(gx + at, sum, x + at, inputs - i);
                   });
          if (!weights) continue;
          for (int64_t p = 0; p < s.inside(half); p++)
            for (int64_t i = 0; i < inputs; i++) active[p * pitch + i] = relu(x[first + 2 * p * s.n + i]);
          for (int64_t i = 0; i < pitch; i += V)
            add_products(active.data() + i, pitch, gradient, s.pitch(), outputs, s.inside(half),
                         parts[half][share].data() + k * outputs * pitch + i, pitch);
        }
      }
  });
  for (int half = 0; weights && half < 2; half++)
    add_parts(parts[half], s.groups * s.outputs[half], inputs, pitch, results[1 + half]);
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
  if (gw) add_parts(sums, out, in, pitch, gw);
}

}  // namespace adarts

ADARTS_KERNEL(relu_product)
ADARTS_KERNEL(relu_product_backward)
ADARTS_KERNEL(relu_halved)
ADARTS_KERNEL(relu_halved_backward)

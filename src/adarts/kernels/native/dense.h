// Products of the channels of pixels with a matrix, behind a ReLU.
#pragma once

#include <array>

#include "vector.h"

namespace adarts {

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
void add_parts(const std::vector<const Array<T>*>& parts, int64_t rows, int64_t columns, int64_t pitch, T* sum) {
  std::fill_n(sum, rows * columns, T(0));
  for (const Array<T>* part : parts)
    if (!part->empty())
      for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < columns; c++) sum[r * columns + c] += (*part)[r * pitch + c];
}

// ReLU and two products at half the resolution: the pixels (0, 0) of every 2x2 block times one matrix, the pixels (1, 1) times
// another, for every group of channels. Beyond the border is 0.
template <class T>
class Halves {
 public:
  // The matrices are (groups, outputs, n / groups).
  Halves(int64_t n, int64_t height, int64_t width, int64_t groups, int64_t outputs_even, int64_t outputs_odd, const T* even,
         const T* odd)
      : n(n), height(height), width(width), groups(groups), inputs(n / groups), outputs{outputs_even, outputs_odd},
        matrices{even, odd} {}

  int64_t out_height() const { return (height + 1) / 2; }
  int64_t out_width() const { return (width + 1) / 2; }
  int64_t out_length() const { return out_width() * channels(); }
  int64_t in_size() const { return height * width * n; }
  int64_t channels() const { return groups * (outputs[0] + outputs[1]); }  // of the result
  int64_t size(int half) const { return groups * outputs[half] * inputs; }  // of a matrix

  // Matrices with rows padded to whole vectors, [half][group]; they are transposed for the forward pass.
  typedef std::array<std::vector<Array<T>>, 2> Weights;
  void prepare(bool transposed, Weights& weights) const {
    for (int half = 0; half < 2; half++)
      for (int64_t k = 0; k < groups; k++)
        weights[half].push_back(padded(matrices[half] + k * outputs[half] * inputs, outputs[half], inputs, transposed));
  }

  // Row i of the result from an image.
  [[gnu::noinline]] void row(const Weights& weights, const T* image, int64_t i, T* z, Array<T>& active) const {
    active.resize(out_width() * n);
    for (int half = 0; half < 2; half++) {
      const T* const from = source(image, i, half);
      std::fill(active.begin(), active.end(), T(0));
      for (int64_t p = 0; from && p < inside(half); p++)
        for (int64_t c = 0; c < n; c++) active[p * n + c] = relu(from[2 * p * n + c]);
      for (int64_t k = 0; k < groups; k++) {
        T* const to = z + place(k, half);
        multiply(active.data() + k * inputs, n, weights[half][k].data(), inputs, rounded<T>(outputs[half]), out_width(),
                 [&](int64_t p, int64_t o, Vector<T> sum) { store_some(to + p * channels() + o, sum, outputs[half] - o); });
      }
    }
  }

  // The buffers of a thread in the backward pass, and its sums of the weights' gradients.
  struct Room {
    Array<T> active, sums[2];
  };
  // The gradient of the rows of an image that row i of the result reads.
  [[gnu::noinline]] void row_gradient(const Weights& weights, bool of_weights, const T* g, const T* image, int64_t i, T* gx,
                                      Room& room) const {
    constexpr int64_t V = lanes<T>;
    const int64_t pitch = rounded<T>(inputs);
    if (of_weights)
      for (int half = 0; half < 2; half++) room.sums[half].resize(groups * outputs[half] * pitch);
    room.active.resize(out_width() * pitch);
    for (int half = 0; half < 2; half++) {
      const T* const from = source(image, i, half);
      if (!from) continue;
      T* const to = gx + (from - image);
      std::fill_n(to - half * n, width * n, T(0));
      for (int64_t k = 0; k < groups; k++) {
        const T* const gradient = g + place(k, half);
        const int64_t first = k * inputs;
        multiply(gradient, channels(), weights[half][k].data(), outputs[half], pitch, inside(half),
                 [&](int64_t p, int64_t c, Vector<T> sum) {
                   const int64_t at = first + 2 * p * n + c;
                   store_behind_relu(to + at, sum, from + at, inputs - c);
                 });
        if (!of_weights) continue;
        for (int64_t p = 0; p < inside(half); p++)
          for (int64_t c = 0; c < inputs; c++) room.active[p * pitch + c] = relu(from[first + 2 * p * n + c]);
        for (int64_t c = 0; c < pitch; c += V)
          add_products(room.active.data() + c, pitch, gradient, channels(), outputs[half], inside(half),
                       room.sums[half].data() + k * outputs[half] * pitch + c, pitch);
      }
    }
  }

  void of_weights(const std::vector<Room>& rooms, int half, T* sum) const {
    std::vector<const Array<T>*> parts;
    for (const Room& room : rooms) parts.push_back(&room.sums[half]);
    add_parts(parts, groups * outputs[half], inputs, rounded<T>(inputs), sum);
  }

 private:
  int64_t place(int64_t group, int half) const { return group * (outputs[0] + outputs[1]) + (half ? outputs[0] : 0); }
  int64_t inside(int half) const { return (width - half + 1) / 2; }  // pixels of a row that are no border
  // The first number that row i of the result reads for this half; null beyond the border.
  const T* source(const T* image, int64_t i, int half) const {
    return 2 * i + half < height ? image + ((2 * i + half) * width + half) * n : nullptr;
  }

  int64_t n, height, width, groups, inputs, outputs[2];
  const T* matrices[2];
};

}  // namespace adarts

// Channel attention of all edges that leave a node, for an image; the MLPs have a hidden width of H.
#pragma once

#include <cmath>

#include "vector.h"

namespace adarts {

template <class T>
T dot(const T* a, const T* b, int64_t count) {
  T sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = 0; i < count; i++) sum += a[i] * b[i];
  return sum;
}

template <class T>
void add_scaled(T* __restrict sums, const T* __restrict values, T factor, int64_t count) {
  for (int64_t i = 0; i < count; i++) sums[i] += values[i] * factor;
}

template <class T>
struct Attention {
  int64_t batch, C, edges, H;
  const T *reduce, *expand;  // (edges, H, C), (edges, C, H)

  int64_t size() const { return edges * H * C; }  // of each weight

  // out[e] = sigmoid(expand (relu(reduce mean) + relu(reduce largest))); out (edges, batch, C), at image 0.
  void image(const T* mean, const T* largest, T* out, Array<T>& hidden) const {
    hidden.resize(H);
    for (int64_t e = 0; e < edges; e++) {
      for (int64_t h = 0; h < H; h++) {
        const T* weight = reduce + (e * H + h) * C;
        hidden[h] = relu(dot(mean, weight, C)) + relu(dot(largest, weight, C));
      }
      T* score = out + e * batch * C;
      for (int64_t c = 0; c < C; c++) score[c] = 1 / (1 + std::exp(-dot(hidden.data(), expand + (e * C + c) * H, H)));
    }
  }

  // The buffers of a thread in the backward pass, and its sums of the weights' gradients, one weight after the other.
  struct Room {
    Array<T> sums, gradient, g_hidden;
  };
  // The gradients of mean and maximum, from those of the attention; g and attention (edges, batch, C), at the image.
  [[gnu::noinline]] void image_gradient(const T* g, const T* attention, const T* mean, const T* largest, bool weights,
                                        T* g_mean, T* g_largest, Room& room) const {
    if (weights) room.sums.resize(2 * size());
    room.gradient.resize(C);
    room.g_hidden.resize(H);
    std::fill_n(g_mean, C, T(0));
    std::fill_n(g_largest, C, T(0));
    for (int64_t e = 0; e < edges; e++) {
      const int64_t row = e * batch * C;
      std::fill(room.g_hidden.begin(), room.g_hidden.end(), T(0));
      for (int64_t c = 0; c < C; c++) {
        room.gradient[c] = g[row + c] * attention[row + c] * (1 - attention[row + c]);
        add_scaled(room.g_hidden.data(), expand + (e * C + c) * H, room.gradient[c], H);
      }
      for (int64_t h = 0; h < H; h++) {
        const int64_t place = (e * H + h) * C;
        const T one = dot(mean, reduce + place, C), two = dot(largest, reduce + place, C);
        const T g_one = one <= 0 ? T(0) : room.g_hidden[h], g_two = two <= 0 ? T(0) : room.g_hidden[h];
        add_scaled(g_mean, reduce + place, g_one, C);
        add_scaled(g_largest, reduce + place, g_two, C);
        if (!weights) continue;
        add_scaled(room.sums.data() + place, mean, g_one, C);
        add_scaled(room.sums.data() + place, largest, g_two, C);
        const T hidden = relu(one) + relu(two);
        for (int64_t c = 0; c < C; c++) room.sums[size() + (e * C + c) * H + h] += room.gradient[c] * hidden;
      }
    }
  }

  // The gradients of both weights.
  void of_weights(const std::vector<Room>& rooms, T* g_reduce, T* g_expand) const {
    std::fill_n(g_reduce, size(), T(0));
    std::fill_n(g_expand, size(), T(0));
    for (const Room& room : rooms)
      if (!room.sums.empty()) {
        add_scaled(g_reduce, room.sums.data(), T(1), size());
        add_scaled(g_expand, room.sums.data() + size(), T(1), size());
      }
  }
};

}  // namespace adarts

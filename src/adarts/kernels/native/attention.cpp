// Channel attention of all edges that leave a node, the channels that it selects, and the factors that it gives to channels.
// Attention and scores have shape (edges, batch, C); the MLPs have a hidden width of H.
#include <cmath>
#include <limits>

#include "vector.h"

namespace adarts {
namespace {

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

}  // namespace

// out = sigmoid(expand (relu(reduce mean) + relu(reduce largest))); reduce (edges, H, C), expand (edges, C, H).
template <class T>
void attention(int64_t batch, int64_t C, int64_t edges, int64_t H, const T* mean, const T* largest, const T* reduce,
               const T* expand, T* out, int64_t threads) {
  in_parallel(threads, batch, [&](int64_t begin, int64_t end, int) {
    Array<T> hidden(H);
    for (int64_t b = begin; b < end; b++)
      for (int64_t e = 0; e < edges; e++) {
        for (int64_t h = 0; h < H; h++) {
          const T* weight = reduce + (e * H + h) * C;
          hidden[h] = relu(dot(mean + b * C, weight, C)) + relu(dot(largest + b * C, weight, C));
        }
        T* score = out + (e * batch + b) * C;
        for (int64_t c = 0; c < C; c++) score[c] = 1 / (1 + std::exp(-dot(hidden.data(), expand + (e * C + c) * H, H)));
      }
  });
}

// Backward pass: gradients of mean and maximum (2, batch, C), and of both weights one after the other if `weights` is set.
template <class T>
void attention_backward(int64_t batch, int64_t C, int64_t edges, int64_t H, const T* g, const T* mean, const T* largest,
                        const T* reduce, const T* expand, const T* attention, int64_t weights, T* g_pooled, T* g_weights,
                        int64_t threads) {
  const int64_t size = edges * H * C;  // of each weight
  std::vector<Array<T>> parts(threads);
  in_parallel(threads, batch, [&](int64_t begin, int64_t end, int share) {
    Array<T>& part = parts[share];
    if (weights) part.resize(2 * size);
    Array<T> gradient(C), g_hidden(H);
    for (int64_t b = begin; b < end; b++) {
      const T *first = mean + b * C, *second = largest + b * C;
      T *g_first = g_pooled + b * C, *g_second = g_pooled + (batch + b) * C;
      std::fill_n(g_first, C, T(0));
      std::fill_n(g_second, C, T(0));
      for (int64_t e = 0; e < edges; e++) {
        const int64_t row = (e * batch + b) * C;
        std::fill(g_hidden.begin(), g_hidden.end(), T(0));
        for (int64_t c = 0; c < C; c++) {
          gradient[c] = g[row + c] * attention[row + c] * (1 - attention[row + c]);
          add_scaled(g_hidden.data(), expand + (e * C + c) * H, gradient[c], H);
        }
        for (int64_t h = 0; h < H; h++) {
          const int64_t place = (e * H + h) * C;
          const T one = dot(first, reduce + place, C), two = dot(second, reduce + place, C);
          const T g_one = one <= 0 ? T(0) : g_hidden[h], g_two = two <= 0 ? T(0) : g_hidden[h];
          add_scaled(g_first, reduce + place, g_one, C);
          add_scaled(g_second, reduce + place, g_two, C);
          if (!weights) continue;
          add_scaled(part.data() + place, first, g_one, C);
          add_scaled(part.data() + place, second, g_two, C);
          const T hidden = relu(one) + relu(two);
          for (int64_t c = 0; c < C; c++) part[size + (e * C + c) * H + h] += gradient[c] * hidden;
        }
      }
    }
  });
  if (!weights) return;
  std::fill_n(g_weights, 2 * size, T(0));
  for (const auto& part : parts)
    for (size_t i = 0; i < part.size(); i++) g_weights[i] += part[i];
}

// The `count` channels with the highest scores of every image, or of the sum over the images: ascending, (batch or 1, edges,
// count). Of equal scores the first is higher; NaN counts as infinity.
template <class T>
void strongest(int64_t batch, int64_t C, int64_t edges, const T* score, int64_t count, int64_t per_image, int64_t* out, int64_t) {
  Array<T> own(C);
  std::vector<int64_t> order(C);
  for (int64_t s = 0; s < (per_image ? batch : 1); s++)
    for (int64_t e = 0; e < edges; e++) {
      std::fill(own.begin(), own.end(), T(0));
      for (int64_t b = per_image ? s : 0; b < (per_image ? s + 1 : batch); b++)
        add_scaled(own.data(), score + (e * batch + b) * C, T(1), C);
      for (T& value : own) value = value != value ? std::numeric_limits<T>::infinity() : value;
      std::iota(order.begin(), order.end(), int64_t{0});
      std::nth_element(order.begin(), order.begin() + (count - 1), order.end(),
                       [&](int64_t a, int64_t b) { return own[a] != own[b] ? own[a] > own[b] : a < b; });
      std::sort(order.begin(), order.begin() + count);
      std::copy_n(order.begin(), count, out + (s * edges + e) * count);
    }
}

// The attention of the selected channels (batch, edges * count), and for every edge that of all channels (batch, C), 0 for the
// selected ones. `results` are these, one after the other.
template <class T>
void factors(int64_t batch, int64_t C, int64_t edges, int64_t count, int64_t per_image, const T* attention,
             const int64_t* index, T* const* results, int64_t) {
  for (int64_t b = 0; b < batch; b++)
    for (int64_t e = 0; e < edges; e++) {
      const T* from = attention + (e * batch + b) * C;
      T* gate = results[1 + e] + b * C;
      std::copy_n(from, C, gate);
      for (int64_t j = 0; j < count; j++) {
        const int64_t c = channel(index[((per_image ? b * edges : 0) + e) * count + j], C);
        results[0][(b * edges + e) * count + j] = from[c];
        gate[c] = 0;
      }
    }
}

// Backward pass: the gradient of the attention.
template <class T>
void factors_backward(int64_t batch, int64_t C, int64_t edges, int64_t count, int64_t per_image, const T* g_scale,
                      const T* const* g_gates, const int64_t* index, T* out, int64_t) {
  for (int64_t b = 0; b < batch; b++)
    for (int64_t e = 0; e < edges; e++) {
      T* to = out + (e * batch + b) * C;
      std::copy_n(g_gates[e] + b * C, C, to);
      for (int64_t j = 0; j < count; j++)
        to[channel(index[((per_image ? b * edges : 0) + e) * count + j], C)] = g_scale[(b * edges + e) * count + j];
    }
}

}  // namespace adarts

ADARTS_KERNEL(attention)
ADARTS_KERNEL(attention_backward)
ADARTS_KERNEL(strongest)
ADARTS_KERNEL(factors)
ADARTS_KERNEL(factors_backward)

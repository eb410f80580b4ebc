// Channel attention of all edges that leave a node, the channels that it selects, and the factors that it gives to channels.
// Attention and scores have shape (edges, batch, C).
#include "attention.h"

#include <limits>

namespace adarts {

template <class T>
void attention(int64_t batch, int64_t C, int64_t edges, int64_t H, const T* mean, const T* largest, const T* reduce,
               const T* expand, T* out, int64_t threads) {
  const Attention<T> mlps{batch, C, edges, H, reduce, expand};
  in_parallel(threads, batch, [&](int64_t begin, int64_t end, int) {
    Array<T> hidden;
    for (int64_t b = begin; b < end; b++) mlps.image(mean + b * C, largest + b * C, out + b * C, hidden);
  });
}

// Backward pass: gradients of mean and maximum (2, batch, C), and of both weights one after the other if `weights` is set.
template <class T>
void attention_backward(int64_t batch, int64_t C, int64_t edges, int64_t H, const T* g, const T* mean, const T* largest,
                        const T* reduce, const T* expand, const T* attention, int64_t weights, T* g_pooled, T* g_weights,
                        int64_t threads) {
  const Attention<T> mlps{batch, C, edges, H, reduce, expand};
  std::vector<typename Attention<T>::Room> rooms(threads);
  in_parallel(threads, batch, [&](int64_t begin, int64_t end, int share) {
    for (int64_t b = begin; b < end; b++)
      mlps.image_gradient(g + b * C, attention + b * C, mean + b * C, largest + b * C, weights, g_pooled + b * C,
                          g_pooled + (batch + b) * C, rooms[share]);
  });
  if (weights) mlps.of_weights(rooms, g_weights, g_weights + mlps.size());
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

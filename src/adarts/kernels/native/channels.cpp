// Partial channel connections. The attention scales all channels of a node's feature map. The selected channels go to the
// operations, and the results return to the same positions. The other channels bypass the operations.
//
// Indices have shape (1 or batch, ...): `per_image` tells whether channels are selected per image or once for the batch.
#include "vector.h"

namespace adarts {

// out[b, p, j] = x[b, p, index[j]] * scale[b, j]; x has C channels, out has n.
template <class T>
void select(int64_t batch, int64_t pixels, int64_t C, int64_t n, int64_t per_image, const T* x, const int64_t* index,
            const T* scale, T* out, int64_t threads) {
  in_parallel(threads, batch, [&](int64_t begin, int64_t end, int) {
    std::vector<int32_t> places(n);
    for (int64_t b = begin; b < end; b++) {
      copy_indices(index + (per_image ? b * n : 0), n, C, places.data());
      const T* __restrict factor = scale + b * n;
      for (int64_t p = 0; p < pixels; p++) {
        const T* __restrict source = x + (b * pixels + p) * C;
        T* __restrict target = out + (b * pixels + p) * n;
        for (int64_t j = 0; j < n; j++) target[j] = source[places[j]] * factor[j];
      }
    }
  });
}

template <class T>
void select_backward(int64_t batch, int64_t pixels, int64_t C, int64_t n, int64_t per_image, const T* g, const T* x,
                     const int64_t* index, const T* scale, T* gx, T* g_scale, int64_t threads) {
  in_parallel(threads, batch, [&](int64_t begin, int64_t end, int) {
    std::vector<int32_t> places(n);
    for (int64_t b = begin; b < end; b++) {
      copy_indices(index + (per_image ? b * n : 0), n, C, places.data());
      const T* __restrict factor = scale + b * n;
      T* __restrict sums = g_scale + b * n;
      std::fill_n(sums, n, T(0));
      for (int64_t p = 0; p < pixels; p++) {
        const T* __restrict source = x + (b * pixels + p) * C;
        const T* __restrict gradient = g + (b * pixels + p) * n;
        T* __restrict target = gx + (b * pixels + p) * C;
        for (int64_t j = 0; j < n; j++) sums[j] += gradient[j] * source[places[j]];
        std::fill_n(target, C, T(0));
        // Two edges may select the same channel, so this loop cannot be vectorized.
        for (int64_t j = 0; j < n; j++) target[places[j]] += gradient[j] * factor[j];
      }
    }
  });
}

// One node: sum bypass[k] * gate[k] (per image and channel) over its `count` edges, and add the operations' results mixed[k] at
// the channels index[k]. The results of edge k have c channels; consecutive pixels are `pitch[k]` numbers apart.
template <class T>
void write_back(int64_t batch, int64_t pixels, int64_t C, int64_t c, int64_t count, int64_t per_image, const int64_t* pitch,
                const T* const* bypass, const T* const* gate, const T* const* mixed,
                const int64_t* const* index, T* out, int64_t threads) {
  in_parallel(threads, batch, [&](int64_t begin, int64_t end, int) {
    std::vector<int32_t> places(count * c);
    for (int64_t b = begin; b < end; b++) {
      for (int64_t k = 0; k < count; k++) copy_indices(index[k] + (per_image ? b * c : 0), c, C, places.data() + k * c);
      for (int64_t p = 0; p < pixels; p++) {
        T* __restrict target = out + (b * pixels + p) * C;
        for (int64_t k = 0; k < count; k++) {
          const T* __restrict source = bypass[k] + (b * pixels + p) * C;
          const T* __restrict factor = gate[k] + b * C;
          if (k == 0)
            for (int64_t q = 0; q < C; q++) target[q] = source[q] * factor[q];
          else
            for (int64_t q = 0; q < C; q++) target[q] += source[q] * factor[q];
        }
        for (int64_t k = 0; k < count; k++) {
          const T* result = mixed[k] + (b * pixels + p) * pitch[k];
          for (int64_t j = 0; j < c; j++) target[places[k * c + j]] += result[j];
        }
      }
    }
  });
}

// Backward pass of write_back. `results` receives the gradients of all bypasses, then of all gates (batch, C), then of all
// mixed results (dense, c channels).
template <class T>
void write_back_backward(int64_t batch, int64_t pixels, int64_t C, int64_t count, int64_t per_image, const T* g,
                         const T* const* bypass, const T* const* gate, const int64_t* const* index, int64_t c,
                         T* const* results, int64_t threads) {
  T* const *g_bypass = results, *const *g_gate = results + count, *const *g_mixed = results + 2 * count;
  in_parallel(threads, batch, [&](int64_t begin, int64_t end, int) {
    std::vector<int32_t> places(c);
    for (int64_t b = begin; b < end; b++)
      for (int64_t k = 0; k < count; k++) {
        copy_indices(index[k] + (per_image ? b * c : 0), c, C, places.data());
        const T* __restrict factor = gate[k] + b * C;
        T* __restrict sums = g_gate[k] + b * C;
        std::fill_n(sums, C, T(0));
        for (int64_t p = 0; p < pixels; p++) {
          const T* __restrict gradient = g + (b * pixels + p) * C;
          const T* __restrict source = bypass[k] + (b * pixels + p) * C;
          T* __restrict to_bypass = g_bypass[k] + (b * pixels + p) * C;
          T* __restrict to_mixed = g_mixed[k] + (b * pixels + p) * c;
          for (int64_t q = 0; q < C; q++) {
            to_bypass[q] = gradient[q] * factor[q];
            sums[q] += gradient[q] * source[q];
          }
          for (int64_t j = 0; j < c; j++) to_mixed[j] = gradient[places[j]];
        }
      }
  });
}

}  // namespace adarts

ADARTS_KERNEL(select)
ADARTS_KERNEL(select_backward)
ADARTS_KERNEL(write_back)
ADARTS_KERNEL(write_back_backward)

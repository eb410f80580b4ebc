// Partial connection: the selected channels of a node's feature map go to the operations, scaled by the attention; their
// results come back to their places, and the other channels bypass the operations, scaled too.
//
// Indices are (1 or batch, ...): chosen once for the batch, or for each image; `per_image` says which.
#include "vector.h"

namespace adarts {
namespace {

// Copy n indices of channels, each below C.
void copy_indices(const int64_t* from, int64_t n, int64_t C, int32_t* to) {
  for (int64_t j = 0; j < n; j++) {
    if (from[j] < 0 || from[j] >= C) throw std::out_of_range("index of a channel");
    to[j] = static_cast<int32_t>(from[j]);
  }
}

}  // namespace

// out[b, p, j] = x[b, p, index[j]] * scale[b, j]; x has C channels, out n.
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
        // Two edges may have chosen the same channel: this loop cannot be vectorized.
        for (int64_t j = 0; j < n; j++) target[places[j]] += gradient[j] * factor[j];
      }
    }
  });
}

// One node: the sum over its `count` edges of bypass[k] * gate[k] (per image and channel), and of the operations' results
// mixed[k] at the places index[k]. The results of edge k lie c channels wide in pixels `pitch[k]` numbers apart.
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

// Gradients of the above, in `results`: of all bypasses, of all gates (batch, C), and of all mixed results, c channels wide
// and dense.
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

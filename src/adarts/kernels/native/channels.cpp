// Partial channel connections. The attention scales all channels of a node's feature map. The selected channels go to the
// operations, and the results return to the same positions. The other channels bypass the operations.
//
// Indices have shape (1 or batch, ...): `per_image` tells whether channels are selected per image or once for the batch.
#include "channels.h"

namespace adarts {
namespace {

// numbers[index], lane by lane; all numbers are in 1, 2 or 4 `vectors`, or these are 0 and it is done one by one.
template <class T>
inline Vector<T> picked(const T* numbers, Indices<T> index, int64_t vectors) {
  constexpr int64_t V = lanes<T>;
  if (vectors == 1) return permuted<T>(load(numbers), index);
#if !defined(__clang__)
  if (vectors == 2) return __builtin_shuffle(load(numbers), load(numbers + V), index);
  if (vectors == 4) {
    const Vector<T> low = __builtin_shuffle(load(numbers), load(numbers + V), index);
    const Vector<T> high = __builtin_shuffle(load(numbers + 2 * V), load(numbers + 3 * V), index);
    return index < 2 * V ? low : high;
  }
#endif
  Vector<T> result;
  for (int64_t l = 0; l < V; l++) result[l] = numbers[index[l]];
  return result;
}

template <class T>
int64_t vectors_of(int64_t count) {
  const int64_t vectors = count / lanes<T>;
  return count % lanes<T> || (vectors != 1 && vectors != 2 && vectors != 4) ? 0 : vectors;
}

constexpr int together = 4;  // edges at a time, whose indices and factors stay in registers

// Calls body(constant) with the constant `count`, which is 1 to `together`.
template <class Body>
void with_count(int64_t count, Body body) {
  switch (count) {
    case 1: return body(std::integral_constant<int, 1>());
    case 2: return body(std::integral_constant<int, 2>());
    case 3: return body(std::integral_constant<int, 3>());
    default: return body(std::integral_constant<int, together>());
  }
}

}  // namespace

template <class T>
void Selected<T>::enter(const T* image, int64_t pixels, T* out) const {
  const int64_t vectors = vectors_of<T>(C), total = pixels * n, count = (n + V - 1) / V;
  // Lanes beyond n are written, too, and overwritten afterwards: the last vector of a pixel therefore comes first.
  for (int64_t v = count - 1; v >= 0; v--) {
    Indices<T> index{};
    Vector<T> factor{};
    for (int64_t l = 0; l < V && v * V + l < n; l++)
      index[l] = places[v * V + l], factor[l] = factors ? factors[v * V + l] : T(1);
    for (int64_t p = 0, t = v * V; p < pixels; p++, t += n)
      store_some(out + t, picked(image + p * C, index, vectors) * factor, total - t);
  }
}

template <class T>
void Selected<T>::gather(const T* const* maps, int64_t offset, int64_t pixels, T* out) const {
  const int64_t vectors = vectors_of<T>(C), total = pixels * n, count = (n + V - 1) / V;
  for (int64_t v = count - 1; v >= 0; v--) {
    const int64_t first = v * V / c, last = std::min(edges, ((v + 1) * V - 1) / c + 1);
    for (int64_t start = first; start < last; start += together)
      with_count(std::min<int64_t>(together, last - start), [&](auto some) {
        Indices<T> index[some()] = {}, there[some()] = {};
        const T* from[some()];
        for (int u = 0; u < some(); u++) {
          const int64_t e = start + u;
          from[u] = maps[e] + offset;
          for (int64_t j = std::max(e * c, v * V); j < std::min((e + 1) * c, (v + 1) * V); j++)
            index[u][j - v * V] = places[j], there[u][j - v * V] = -1;
        }
        const bool more = start > first;
        for (int64_t p = 0, t = v * V; p < pixels; p++, t += n) {
          Vector<T> found = more ? load_some(out + t, total - t) : Vector<T>{};
          for (int u = 0; u < some(); u++) found = there[u] ? picked(from[u] + p * C, index[u], vectors) : found;
          store_some(out + t, found, total - t);
        }
      });
  }
}

template <class T>
void Selected<T>::products(const T* numbers, const T* image, int64_t pixels, T* sums) const {
  const int64_t vectors = vectors_of<T>(C);
  for (int64_t start = 0; start < n; start += V) {
    Indices<T> index{};
    for (int64_t l = 0; l < V && start + l < n; l++) index[l] = places[start + l];
    Vector<T> sum{};
    for (int64_t p = 0; p < pixels; p++) sum += load(numbers + p * n + start) * picked(image + p * C, index, vectors);
    for (int64_t l = 0; l < V && start + l < n; l++) sums[start + l] = sum[l];
  }
}

template <class T>
void Selected<T>::add(const T* const* numbers, const int64_t* pitch, int64_t pixels, int64_t spare, T* out) const {
  const int64_t vectors = c < V ? 1 : vectors_of<T>(c);
  if (C % V || !vectors) {
    for (int64_t p = 0; p < pixels; p++)
      for (int64_t e = 0; e < edges; e++)
        for (int64_t j = 0; j < c; j++)
          out[p * C + places[e * c + j]] += numbers[e][p * pitch[e] + j] * (factors ? factors[e * c + j] : T(1));
    return;
  }
  for (int64_t first = 0; first < C; first += V)
    for (int64_t start = 0; start < edges; start += together)
      with_count(std::min<int64_t>(together, edges - start), [&](auto some) {
        Indices<T> index[some()] = {}, there[some()] = {};
        Vector<T> factor[some()] = {};
        const T* from[some()];
        int64_t step[some()];
        for (int u = 0; u < some(); u++) {
          from[u] = numbers[start + u], step[u] = pitch[start + u];
          for (int64_t j = 0; j < c; j++) {
            const int64_t at = (start + u) * c + j, lane = places[at] - first;
            if (lane < 0 || lane >= V) continue;
            index[u][lane] = j, there[u][lane] = -1, factor[u][lane] = factors ? factors[at] : T(1);
          }
        }
        for (int64_t p = 0; p < pixels; p++) {
          Vector<T> sum = load(out + p * C + first);
          for (int u = 0; u < some(); u++) {
            const int64_t left = (pixels - 1 - p) * step[u] + c + spare;
            const Vector<T> all = c >= V || left >= V ? picked(from[u] + p * step[u], index[u], vectors)
                                                      : permuted<T>(load_first(from[u] + p * step[u], left), index[u]);
            // Other numbers may be infinite, so they are left out instead of multiplied by 0.
            sum += there[u] ? all * factor[u] : Vector<T>{};
          }
          store(out + p * C + first, sum);
        }
      });
}

template <class T>
void gated(const T* const* maps, int64_t offset, const T* const* gates, int64_t edges, int64_t C, int64_t pixels, const T* image,
           T* out, T* of_gates) {
  constexpr int64_t V = lanes<T>;
  const int64_t L = period<T>(C), total = pixels * C;
  std::vector<Array<T>> repeats;
  for (int64_t e = 0; e < edges; e++) repeats.push_back(repeated(gates[e], C, L));
  if (of_gates) std::fill_n(of_gates, edges * C, T(0));
  for (int64_t v = 0; v < L; v += V)
    for (int64_t start = 0; start < edges; start += together)
      with_count(std::min<int64_t>(together, edges - start), [&](auto some) {
        Vector<T> gate[some()], sums[some()] = {};
        const T* from[some()];
        for (int u = 0; u < some(); u++) gate[u] = load(repeats[start + u].data() + v), from[u] = maps[start + u] + offset;
        for (int64_t t = v; t < total; t += L) {
          const int64_t left = total - t;
          Vector<T> sum = start ? load_some(out + t, left) : Vector<T>{};
          const Vector<T> here = of_gates ? load_some(image + t, left) : Vector<T>{};
          for (int u = 0; u < some(); u++) {
            const Vector<T> number = load_some(from[u] + t, left);
            sum += number * gate[u];
            if (of_gates) sums[u] += number * here;
          }
          store_some(out + t, sum, left);
        }
        for (int u = 0; of_gates && u < some(); u++)
          for (int64_t l = 0; l < V; l++) of_gates[(start + u) * C + (v + l) % C] += sums[u][l];
      });
}

template class Selected<float>;
template class Selected<double>;
template void gated(const float* const*, int64_t, const float* const*, int64_t, int64_t, int64_t, const float*, float*, float*);
template void gated(const double* const*, int64_t, const double* const*, int64_t, int64_t, int64_t, const double*, double*, double*);

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

// Selected channels: picked from the pixels of an image, and put back, as permutations of vectors.
#pragma once

#include <type_traits>

#include "vector.h"

namespace adarts {

// Vectors of indices as wide as those of T.
template <class T>
struct IndicesOf {
  typedef typename std::conditional<sizeof(T) == 4, int32_t, int64_t>::type number;
  typedef number type __attribute__((vector_size(vector_bytes)));
};
template <class T>
using Indices = typename IndicesOf<T>::type;

// v[index], lane by lane.
template <class T>
inline Vector<T> permuted(Vector<T> v, Indices<T> index) {
#if defined(__clang__)
  Vector<T> result;
  for (int l = 0; l < lanes<T>; l++) result[l] = v[index[l]];
  return result;
#else
  return __builtin_shuffle(v, index);
#endif
}

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

// The c selected channels of each of several edges, among the C channels of a pixel. The selected channels of all edges lie side
// by side: n numbers a pixel.
template <class T>
class Selected {
 public:
  // `places` (edges, c); `factors` of the same channels, null if they are 1.
  Selected(const int32_t* places, const T* factors, int64_t edges, int64_t c, int64_t C)
      : places(places), factors(factors), edges(edges), c(c), C(C), n(edges * c) {}

  // out[p, j] = factor[j] * image[p, place[j]] for all pixels.
  void enter(const T* image, int64_t pixels, T* out) const {
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

  // out[p, e, j] = maps[e][p, place[e, j]].
  void gather(const T* const* maps, int64_t offset, int64_t pixels, T* out) const {
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

  // sums[j] = the sum over all pixels of numbers[p, j] * image[p, place[j]]; a vector behind the numbers can be read.
  void products(const T* numbers, const T* image, int64_t pixels, T* sums) const {
    const int64_t vectors = vectors_of<T>(C);
    for (int64_t start = 0; start < n; start += V) {
      Indices<T> index{};
      for (int64_t l = 0; l < V && start + l < n; l++) index[l] = places[start + l];
      Vector<T> sum{};
      for (int64_t p = 0; p < pixels; p++) sum += load(numbers + p * n + start) * picked(image + p * C, index, vectors);
      for (int64_t l = 0; l < V && start + l < n; l++) sums[start + l] = sum[l];
    }
  }

  // out[p, place[e, j]] += factor[e, j] * numbers[e][p, j], where pixels of numbers[e] are pitch[e] apart; behind the last number
  // of `numbers`, `spare` more can be read.
  void add(const T* const* numbers, const int64_t* pitch, int64_t pixels, int64_t spare, T* out) const {
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

 private:
  static constexpr int64_t V = lanes<T>;
  const int32_t* places;
  const T* factors;
  int64_t edges, c, C, n;
};

// out[p] = the sum over the edges of gate[e] * maps[e][p]; with `of_gates`, gate (edges, C), also the sums over all pixels of
// maps[e] * image. An image has `pixels` of C channels.
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

}  // namespace adarts

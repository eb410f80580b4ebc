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

// The c selected channels of each of several edges, among the C channels of a pixel. The selected channels of all edges lie side
// by side: n numbers a pixel.
template <class T>
class Selected {
 public:
  // `places` (edges, c); `factors` of the same channels, null if they are 1.
  Selected(const int32_t* places, const T* factors, int64_t edges, int64_t c, int64_t C)
      : places(places), factors(factors), edges(edges), c(c), C(C), n(edges * c) {}

  // out[p, j] = factor[j] * image[p, place[j]] for all pixels.
  void enter(const T* image, int64_t pixels, T* out) const;

  // out[p, e, j] = maps[e][offset + p, place[e, j]].
  void gather(const T* const* maps, int64_t offset, int64_t pixels, T* out) const;

  // sums[j] = the sum over all pixels of numbers[p, j] * image[p, place[j]]; a vector behind the numbers can be read.
  void products(const T* numbers, const T* image, int64_t pixels, T* sums) const;

  // out[p, place[e, j]] += factor[e, j] * numbers[e][p, j], where pixels of numbers[e] are pitch[e] apart; behind the last number
  // of each, `spare` more can be read.
  void add(const T* const* numbers, const int64_t* pitch, int64_t pixels, int64_t spare, T* out) const;

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
           T* out, T* of_gates);

}  // namespace adarts

// Vectors of the processor's own width, for float and double, through the vector extension that GCC and Clang share.
//
// A feature map here is channels last: the n channels of a pixel side by side, then the next pixel. A row is therefore a flat
// run of width*n numbers in which the channel repeats with period n. Vectors do not care for pixel borders: what differs
// from channel to channel (weights, scales) is repeated up to a common multiple L of n and the vector's width, so that the
// vector at position t always finds its own at t modulo L, for any number of channels.
#pragma once

#include <omp.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <exception>
#include <new>
#include <numeric>
#include <stdexcept>
#include <vector>

namespace adarts {

#if defined(__AVX512F__)
constexpr int vector_bytes = 64;
#elif defined(__AVX__)
constexpr int vector_bytes = 32;
#else
constexpr int vector_bytes = 16;
#endif

template <class T>
struct VectorOf;
template <>
struct VectorOf<float> {
  // Unaligned: a tap of a convolution starts at any pixel.
  typedef float type __attribute__((vector_size(vector_bytes), aligned(4), may_alias));
  typedef float local __attribute__((vector_size(vector_bytes)));
};
template <>
struct VectorOf<double> {
  typedef double type __attribute__((vector_size(vector_bytes), aligned(8), may_alias));
  typedef double local __attribute__((vector_size(vector_bytes)));
};
template <class T>
using Vector = typename VectorOf<T>::local;

template <class T>
constexpr int64_t lanes = vector_bytes / sizeof(T);

// Numbers that begin at a cache line, so that a vector of a channel count that divides its width never spans two.
template <class T>
struct AtCacheLine {
  typedef T value_type;
  static constexpr std::align_val_t line{64};
  AtCacheLine() = default;
  template <class U>
  AtCacheLine(const AtCacheLine<U>&) {}
  T* allocate(size_t count) { return static_cast<T*>(::operator new(count * sizeof(T), line)); }
  void deallocate(T* p, size_t) { ::operator delete(p, line); }
  template <class U>
  bool operator==(const AtCacheLine<U>&) const { return true; }
  template <class U>
  bool operator!=(const AtCacheLine<U>&) const { return false; }
};
template <class T>
using Array = std::vector<T, AtCacheLine<T>>;

template <class T>
inline Vector<T> load(const T* p) {
  return *reinterpret_cast<const typename VectorOf<T>::type*>(p);
}

template <class T>
inline void store(T* p, Vector<T> v) {
  *reinterpret_cast<typename VectorOf<T>::type*>(p) = v;
}

// The last, incomplete vector of a row: what is missing reads as zero.
template <class T>
inline Vector<T> load_first(const T* p, int64_t count) {
  Vector<T> v{};
  std::memcpy(&v, p, sizeof(T) * count);
  return v;
}

template <class T>
inline void store_first(T* p, Vector<T> v, int64_t count) {
  std::memcpy(p, &v, sizeof(T) * count);
}

// A vector of which only the first `left` numbers may be there.
template <class T>
inline Vector<T> load_some(const T* p, int64_t left) {
  return left >= lanes<T> ? load(p) : load_first(p, left);
}

template <class T>
inline void store_some(T* p, Vector<T> v, int64_t left) {
  left >= lanes<T> ? store(p, v) : store_first(p, v, left);
}

// NaN stays NaN, here and in the gradient's mask, `x <= 0 ? 0 : g`, as torch has it.
template <class T>
inline T relu(T x) {
  return x < 0 ? T(0) : x;
}

// Store the first `count` numbers of a gradient behind a ReLU: 0 where its argument is not positive.
template <class T>
inline void store_behind_relu(T* p, Vector<T> gradient, const T* argument, int64_t count) {
  if (count >= lanes<T>)
    store(p, load(argument) <= T(0) ? Vector<T>{} : gradient);
  else
    store_first(p, load_first(argument, count) <= T(0) ? Vector<T>{} : gradient, count);
}

// An index of one of C channels; std::out_of_range for any other number.
inline int64_t channel(int64_t index, int64_t C) {
  if (index < 0 || index >= C) throw std::out_of_range("index of a channel");
  return index;
}

// Copy n indices of channels; std::out_of_range unless each is in [0, C).
inline void copy_indices(const int64_t* from, int64_t n, int64_t C, int32_t* to) {
  for (int64_t j = 0; j < n; j++) to[j] = static_cast<int32_t>(channel(from[j], C));
}

// L: the period after which channels and vector lanes meet again.
template <class T>
inline int64_t period(int64_t n) {
  return std::lcm(n, lanes<T>);
}

// A value per channel, repeated `length` numbers far.
template <class T>
Array<T> repeated(const T* per_channel, int64_t n, int64_t length) {
  Array<T> result(length);
  for (int64_t i = 0; i < length; i++) result[i] = per_channel[i % n];
  return result;
}

constexpr int unroll = 8;  // vectors at a time: each weight is loaded once for all of them

// y[p, o] = sum over i of w[i, o] * x[p, i] for a tile; w (in, pitch_out), rows padded with zeros to whole vectors. `emit`
// takes the vector of outputs that starts at (p, o).
template <class T, class Emit>
void multiply(const T* x, int64_t pitch_x, const T* w, int64_t in, int64_t pitch_out, int64_t pixels, Emit emit) {
  for (int64_t o = 0; o < pitch_out; o += lanes<T>) {
    int64_t p = 0;
    for (; p + unroll <= pixels; p += unroll) {
      Vector<T> sum[unroll] = {};
      for (int64_t i = 0; i < in; i++) {
        const Vector<T> wi = load(w + i * pitch_out + o);
        for (int u = 0; u < unroll; u++) sum[u] += wi * x[(p + u) * pitch_x + i];
      }
      for (int u = 0; u < unroll; u++) emit(p + u, o, sum[u]);
    }
    for (; p < pixels; p++) {
      Vector<T> sum{};
      for (int64_t i = 0; i < in; i++) sum += load(w + i * pitch_out + o) * x[p * pitch_x + i];
      emit(p, o, sum);
    }
  }
}

// sums[r, vector] += sum over p of numbers[p, r] * vectors[p] for r below `rows`, with vectors, numbers and sums so far apart.
template <class T>
void add_products(const T* vectors, int64_t pitch_vectors, const T* numbers, int64_t pitch_numbers, int64_t rows, int64_t pixels,
                  T* sums, int64_t pitch_sums) {
  for (int64_t r = 0; r < rows; r += unroll) {
    const int64_t some = std::min<int64_t>(unroll, rows - r);
    Vector<T> sum[unroll];
    for (int64_t u = 0; u < some; u++) sum[u] = load(sums + (r + u) * pitch_sums);
    if (some == unroll)
      for (int64_t p = 0; p < pixels; p++) {
        const Vector<T> vector = load(vectors + p * pitch_vectors);
        for (int u = 0; u < unroll; u++) sum[u] += vector * numbers[p * pitch_numbers + r + u];
      }
    else
      for (int64_t p = 0; p < pixels; p++)
        for (int64_t u = 0; u < some; u++) sum[u] += load(vectors + p * pitch_vectors) * numbers[p * pitch_numbers + r + u];
    for (int64_t u = 0; u < some; u++) store(sums + (r + u) * pitch_sums, sum[u]);
  }
}

// Call body(begin, end, thread) on equal shares of [0, count). The shares depend on nothing but the number of threads, so that
// sums over them are the same to the bit in every run. An exception must not leave a thread: one of them leaves afterwards.
template <class Body>
void in_parallel(int64_t most, int64_t count, Body body) {
  const int threads = static_cast<int>(std::max<int64_t>(1, std::min(most, count)));
  if (threads == 1) {
    body(int64_t{0}, count, 0);
    return;
  }
  std::exception_ptr failed;
#pragma omp parallel num_threads(threads)
  try {
    // The runtime may grant fewer threads than asked for: whoever is there takes the shares in turn.
    for (int share = omp_get_thread_num(); share < threads; share += omp_get_num_threads())
      body(count * share / threads, count * (share + 1) / threads, share);
  } catch (...) {
#pragma omp critical(adarts_failed)
    failed = std::current_exception();
  }
  if (failed) std::rethrow_exception(failed);
}

// A kernel for a caller that knows no exceptions. It returns 0, 1 without enough memory, or 2 for an index out of range
// (operators.py).
template <auto kernel>
struct Guarded;
template <class... Arguments, void (*kernel)(Arguments...)>
struct Guarded<kernel> {
  static int run(Arguments... arguments) {
    try {
      kernel(arguments...);
      return 0;
    } catch (const std::out_of_range&) {
      return 2;
    } catch (const std::exception&) {  // of bad_alloc and length_error, both of which say that
      return 1;
    }
  }
};

}  // namespace adarts

// What operators.py looks up: pointers to the kernel for both types.
#define ADARTS_KERNEL(name)                                                    \
  extern "C" {                                                                 \
  auto adarts_##name##_float32 = adarts::Guarded<&adarts::name<float>>::run;   \
  auto adarts_##name##_float64 = adarts::Guarded<&adarts::name<double>>::run;  \
  }

// Statistics of batch normalization, collected piece by piece, and what follows from them for sums and gradients.
#pragma once

#include <cmath>

#include "vector.h"

namespace adarts {

constexpr int64_t tile_rows = 128;  // rows of L numbers; small enough that a tile is still in the cache for its second pass

// Count, mean and sum of squared deviations of some numbers. Squared deviations in a tile are around the tile's mean, and tiles
// are combined in double precision (Chan, Golub and LeVeque 1979). This avoids cancellation for large means.
struct Moments {
  double count = 0, mean = 0, squares = 0;
  void add(double other_count, double other_mean, double other_squares) {
    if (other_count == 0) return;
    const double all = count + other_count, delta = other_mean - mean;
    squares += other_squares + delta * delta * count * other_count / all;
    mean += delta * other_count / all;
    count = all;
  }
};

// Functions with [[gnu::noinline]] have several callers; without it, compilation takes half as long again.

// Add the moments of the numbers [first, last) of a map to those of every lane (L); `first` is a multiple of L.
template <class T>
[[gnu::noinline]] void add_moments(const T* z, int64_t first, int64_t last, int64_t L, Moments* part) {
  constexpr int64_t V = lanes<T>;
  for (int64_t begin = first; begin < last; begin += tile_rows * L) {
    const int64_t end = std::min(begin + tile_rows * L, last);
    for (int64_t v = 0; v < L; v += V) {
      Vector<T> sum{}, squares{};
      int64_t rows = 0, t = begin + v;
      for (; t + V <= end; t += L, rows++) sum += load(z + t);
      const Vector<T> center = rows ? sum / T(rows) : sum;
      for (t = begin + v; t + V <= end; t += L) {
        const Vector<T> d = load(z + t) - center;
        squares += d * d;
      }
      for (int64_t l = 0; l < V; l++) part[v + l].add(rows, center[l], squares[l]);
      for (int64_t l = 0; t + l < end; l++) part[v + l].add(1, z[t + l], 0);  // the last, incomplete vector
    }
  }
}

// Mean and biased variance of every channel from the moments of the lanes [first, first + L) of every thread.
template <class T>
void combine(const std::vector<std::vector<Moments>>& parts, int64_t first, int64_t L, int64_t n, T* mean, T* variance) {
  std::vector<Moments> all(n);
  for (const auto& part : parts)
    if (!part.empty())
      for (int64_t l = 0; l < L; l++) all[l % n].add(part[first + l].count, part[first + l].mean, part[first + l].squares);
  for (int64_t c = 0; c < n; c++) mean[c] = all[c].mean, variance[c] = all[c].squares / all[c].count;
}

// Move running statistics towards those of a batch of `count` numbers a channel.
template <class T>
void update_running(int64_t n, int64_t count, double momentum, const T* mean, const T* variance, T* running_mean, T* running_var) {
  const double unbiased = double(count) / std::max<int64_t>(1, count - 1);
  for (int64_t c = 0; c < n; c++) {
    running_mean[c] += momentum * (mean[c] - running_mean[c]);
    running_var[c] += momentum * (unbiased * variance[c] - running_var[c]);
  }
}

template <class T>
void inverse_deviation(int64_t n, const T* variance, double eps, T* inv_std) {
  for (int64_t c = 0; c < n; c++) inv_std[c] = 1 / std::sqrt(variance[c] + eps);
}

// Calls body(v, t, left) for the vectors at t in [first, last), where v is t's place in its row of L and `left` how many numbers
// there are from t on. It is a constant for all whole rows, so that these need no checks.
template <class T, class Body>
void rows_of(int64_t first, int64_t last, int64_t L, Body body) {
  constexpr int64_t V = lanes<T>;
  const int64_t whole = first + (last - first) / L * L;
  for (int64_t r = first; r < whole; r += L)
    for (int64_t v = 0; v < L; v += V) body(v, r + v, V);
  for (int64_t v = 0; v < L && whole + v < last; v += V) body(v, whole + v, last - whole - v);
}

// out = sum over k of gain[k] * (z[k] - mean[k]) * inv_std[k], plus bias, per channel; gain (count, n). Null gains are 1.
template <class T>
class WeightedSum {
 public:
  WeightedSum(int64_t n, int64_t count, const T* mean, const T* inv_std, const T* gain, const T* bias)
      : count(count), L(period<T>(n)) {
    Array<T> factor(n), shift(n);
    if (bias) std::copy_n(bias, n, shift.begin());
    for (int64_t k = 0; k < count; k++) {
      for (int64_t c = 0; c < n; c++) {
        factor[c] = (gain ? gain[k * n + c] : T(1)) * inv_std[k * n + c];
        shift[c] -= factor[c] * mean[k * n + c];
      }
      factors.push_back(repeated(factor.data(), n, L));
    }
    shifts = repeated(shift.data(), n, L);
  }

  // The numbers [first, last) of the result; `first` is a multiple of L.
  [[gnu::noinline]] void run(const T* const* z, int64_t first, int64_t last, T* out) const {
    rows_of<T>(first, last, L, [&](int64_t v, int64_t t, int64_t left) {
      Vector<T> sum = load(shifts.data() + v);
      for (int64_t k = 0; k < count; k++) sum += load(factors[k].data() + v) * load_some(z[k] + t, left);
      store_some(out + t, sum, left);
    });
  }

 private:
  int64_t count, L;
  std::vector<Array<T>> factors;
  Array<T> shifts;
};

// Sums over all pixels for the gradients of normalized maps: of g, and of g * (z[k] - mean[k]) for every map.
template <class T>
class GradientSums {
 public:
  GradientSums(int64_t n, int64_t count, const T* mean, int64_t threads) : n(n), L(period<T>(n)), parts(threads) {
    for (int64_t k = 0; k < count; k++) means.push_back(repeated(mean + k * n, n, L));
  }

  // Add the numbers [first, last); `first` is a multiple of L, and `share` numbers the thread.
  [[gnu::noinline]] void add(int share, const T* g, const T* const* z, int64_t first, int64_t last) {
    constexpr int64_t V = lanes<T>;
    const int64_t count = means.size();
    std::vector<double>& part = parts[share];
    part.resize((count + 1) * L);
    for (int64_t v = 0; v < L; v += V)
      for (int64_t k = -1; k < count; k++) {
        double* const sums = part.data() + (k + 1) * L + v;
        const Vector<T> center = k < 0 ? Vector<T>{} : load(means[k].data() + v);
        Vector<T> sum{};
        int64_t t = first + v;
        for (; t + V <= last; t += L) sum += k < 0 ? load(g + t) : load(g + t) * (load(z[k] + t) - center);
        for (int64_t l = 0; l < V; l++) sums[l] += sum[l];
        for (int64_t l = 0; t + l < last; l++) sums[l] += k < 0 ? g[t + l] : g[t + l] * (z[k][t + l] - center[l]);
      }
  }

  // The sums per channel, (count + 1, n).
  Array<T> all() const {
    const int64_t rows = means.size() + 1;
    std::vector<double> sums(rows * n);
    for (const auto& part : parts)
      for (size_t i = 0; i < part.size(); i++) sums[i / L * n + i % L % n] += part[i];
    return Array<T>(sums.begin(), sums.end());
  }

 private:
  int64_t n, L;
  std::vector<Array<T>> means;
  std::vector<std::vector<double>> parts;
};

// The gradient of a map that was normalized and then scaled: a * g + b * z + c per channel.
template <class T>
class MapGradient {
 public:
  // `sum_g` and `sum_gd` are sums of g and of g * (z - mean) over `pixels`. If `depends`, mean and deviation are those of z.
  MapGradient(int64_t n, const T* gain, const T* mean, const T* inv_std, bool depends, const T* sum_g, const T* sum_gd,
              int64_t pixels)
      : depends(depends), L(period<T>(n)) {
    Array<T> one(n), two(n), three(n);
    for (int64_t i = 0; i < n; i++) {
      one[i] = gain ? gain[i] * inv_std[i] : inv_std[i];
      two[i] = -one[i] * inv_std[i] * inv_std[i] * sum_gd[i] / pixels;
      three[i] = -one[i] * sum_g[i] / pixels - two[i] * mean[i];
    }
    a = repeated(one.data(), n, L), b = repeated(two.data(), n, L), c = repeated(three.data(), n, L);
  }

  // The numbers [first, last) of the gradient; `first` is a multiple of L. Unless it depends on z, which may be NaN, z is not
  // read.
  [[gnu::noinline]] void run(const T* g, const T* z, int64_t first, int64_t last, T* out) const {
    if (depends)
      rows_of<T>(first, last, L, [&](int64_t v, int64_t t, int64_t left) {
        const Vector<T> sum = load(b.data() + v) * load_some(z + t, left) + load(c.data() + v);
        store_some(out + t, load(a.data() + v) * load_some(g + t, left) + sum, left);
      });
    else
      rows_of<T>(first, last, L,
               [&](int64_t v, int64_t t, int64_t left) { store_some(out + t, load(a.data() + v) * load_some(g + t, left), left); });
  }

 private:
  bool depends;
  int64_t L;
  Array<T> a, b, c;
};

}  // namespace adarts

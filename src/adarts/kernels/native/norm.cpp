// Batch normalization of several feature maps and their weighted sum: statistics, forward and backward pass. All maps of one
// call have the same shape: (pixels of all images, n).
#include <cmath>

#include "vector.h"

namespace adarts {
namespace {

constexpr int64_t tile_rows = 128;  // rows of L numbers; small enough that a tile is still in the cache for its second pass

// A map of `total` numbers, divided into rows of L (the last one may be incomplete) and the rows into tiles.
template <class T>
struct Tiles {
  int64_t total, L;
  int64_t rows() const { return (total + L - 1) / L; }
  int64_t count() const { return (rows() + tile_rows - 1) / tile_rows; }
};

}  // namespace

// Mean and biased variance of every channel. Squared deviations in a tile are around the tile's mean, and tiles are combined in
// double precision (Chan, Golub and LeVeque 1979). This avoids cancellation for large means.
template <class T>
void moments(int64_t pixels, int64_t n, const T* z, T* mean, T* variance, int64_t threads) {
  constexpr int64_t V = lanes<T>;
  const Tiles<T> tiles{pixels * n, period<T>(n)};
  const int64_t L = tiles.L;
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
  std::vector<std::vector<Moments>> parts(threads);
  in_parallel(threads, tiles.count(), [&](int64_t begin, int64_t end, int share) {
    std::vector<Moments>& part = parts[share];
    part.resize(L);
    for (int64_t tile = begin; tile < end; tile++)
      for (int64_t v = 0; v < L; v += V) {
        const int64_t first = tile * tile_rows * L + v, last = std::min((tile + 1) * tile_rows * L, tiles.total);
        Vector<T> sum{}, squares{};
        int64_t rows = 0, t = first;
        for (; t + V <= last; t += L, rows++) sum += load(z + t);
        const Vector<T> center = rows ? sum / T(rows) : sum;
        for (t = first; t + V <= last; t += L) {
          const Vector<T> d = load(z + t) - center;
          squares += d * d;
        }
        for (int64_t l = 0; l < V; l++) part[v + l].add(rows, center[l], squares[l]);
        for (int64_t l = 0; t + l < last; l++) part[v + l].add(1, z[t + l], 0);  // the last, incomplete vector
      }
  });
  std::vector<Moments> all(n);
  for (const auto& part : parts)
    for (size_t l = 0; l < part.size(); l++) all[l % n].add(part[l].count, part[l].mean, part[l].squares);
  for (int64_t c = 0; c < n; c++) mean[c] = all[c].mean, variance[c] = all[c].squares / all[c].count;
}

// Mean and 1/deviation (count, n) for every map. In training they are the statistics of the batch, which also update the running
// statistics, if any; otherwise they are the running statistics. `running_mean` and `running_var` contain only the normalized
// maps; the other maps get mean 0 and deviation 1.
template <class T>
void statistics(int64_t pixels, int64_t n, int64_t count, int64_t running, const T* const* z, const int64_t* normalized,
                T* const* running_mean, T* const* running_var, int64_t training, double momentum, double eps, T* mean,
                T* inv_std, int64_t threads) {
  Array<T> variance(n);
  for (int64_t k = 0, next = 0; k < count; k++) {
    T *m = mean + k * n, *s = inv_std + k * n;
    if (!normalized[k]) {
      std::fill_n(m, n, T(0));
      std::fill_n(s, n, T(1));
      continue;
    }
    T *rm = running ? running_mean[next] : nullptr, *rv = running ? running_var[next] : nullptr;
    next++;
    if (training) {
      moments(pixels, n, z[k], m, variance.data(), threads);
      const double unbiased = double(pixels) / std::max<int64_t>(1, pixels - 1);
      for (int64_t c = 0; rm && c < n; c++) {
        rm[c] += momentum * (m[c] - rm[c]);
        rv[c] += momentum * (unbiased * variance[c] - rv[c]);
      }
    } else {
      std::copy_n(rm, n, m);
      std::copy_n(rv, n, variance.begin());
    }
    for (int64_t c = 0; c < n; c++) s[c] = 1 / std::sqrt(variance[c] + eps);
  }
}

// out = sum over k of factor[k] * z[k], plus shift; factor has shape (count, n).
template <class T>
void weighted_sum(int64_t pixels, int64_t n, int64_t count, const T* const* z, const T* factor, const T* shift, T* out,
                  int64_t threads) {
  constexpr int64_t V = lanes<T>;
  const Tiles<T> tiles{pixels * n, period<T>(n)};
  const int64_t L = tiles.L;
  std::vector<Array<T>> factors;
  for (int64_t k = 0; k < count; k++) factors.push_back(repeated(factor + k * n, n, L));
  const Array<T> shifts = repeated(shift, n, L);
  in_parallel(threads, tiles.rows(), [&](int64_t begin, int64_t end, int) {
    for (int64_t r = begin; r < end; r++)
      for (int64_t v = 0; v < L; v += V) {
        const int64_t t = r * L + v;
        Vector<T> sum = load(shifts.data() + v);
        if (t + V <= tiles.total) {
          for (int64_t k = 0; k < count; k++) sum += load(factors[k].data() + v) * load(z[k] + t);
          store(out + t, sum);
        } else if (t < tiles.total) {
          for (int64_t k = 0; k < count; k++) sum += load(factors[k].data() + v) * load_first(z[k] + t, tiles.total - t);
          store_first(out + t, sum, tiles.total - t);
        }
      }
  });
}

// Sums for the backward pass, shape (count + 1, n): row 0 is the sum of g, row k + 1 the sum of g * (z[k] - mean[k]).
template <class T>
void gradient_sums(int64_t pixels, int64_t n, int64_t count, const T* g, const T* const* z, const T* mean, T* sums,
                   int64_t threads) {
  constexpr int64_t V = lanes<T>;
  const Tiles<T> tiles{pixels * n, period<T>(n)};
  const int64_t L = tiles.L, rows = count + 1;
  std::vector<Array<T>> means;
  for (int64_t k = 0; k < count; k++) means.push_back(repeated(mean + k * n, n, L));
  std::vector<std::vector<double>> parts(threads);
  in_parallel(threads, tiles.count(), [&](int64_t begin, int64_t end, int share) {
    std::vector<double>& part = parts[share];
    part.resize(rows * L);
    for (int64_t tile = begin; tile < end; tile++)
      for (int64_t v = 0; v < L; v += V) {
        const int64_t first = tile * tile_rows * L + v, last = std::min((tile + 1) * tile_rows * L, tiles.total);
        for (int64_t k = -1; k < count; k++) {
          Vector<T> sum{};
          const Vector<T> center = k < 0 ? Vector<T>{} : load(means[k].data() + v);
          int64_t t = first;
          for (; t + V <= last; t += L) sum += k < 0 ? load(g + t) : load(g + t) * (load(z[k] + t) - center);
          for (int64_t l = 0; l < V; l++) part[(k + 1) * L + v + l] += sum[l];
          for (int64_t l = 0; t + l < last; l++)
            part[(k + 1) * L + v + l] += k < 0 ? g[t + l] : g[t + l] * (z[k][t + l] - center[l]);
        }
      }
  });
  std::vector<double> all(rows * n);
  for (const auto& part : parts)
    for (size_t i = 0; i < part.size(); i++) all[i / L * n + i % L % n] += part[i];
  for (int64_t i = 0; i < rows * n; i++) sums[i] = all[i];
}

// gz[k] = a[k] * g + b[k] * z[k] + c[k]; a, b, c have shape (count, n). Unless depends[k], b[k] is 0 and z[k] is not read,
// because it may contain NaN.
template <class T>
void gradients(int64_t pixels, int64_t n, int64_t count, const T* g, const T* const* z, const int64_t* depends, const T* a,
               const T* b, const T* c, T* const* gz, int64_t threads) {
  constexpr int64_t V = lanes<T>;
  const Tiles<T> tiles{pixels * n, period<T>(n)};
  const int64_t L = tiles.L;
  std::vector<Array<T>> as, bs, cs;
  for (int64_t k = 0; k < count; k++) {
    as.push_back(repeated(a + k * n, n, L));
    bs.push_back(repeated(b + k * n, n, L));
    cs.push_back(repeated(c + k * n, n, L));
  }
  // A tile of g stays in the cache for all maps.
  in_parallel(threads, tiles.count(), [&](int64_t begin, int64_t end, int) {
    for (int64_t tile = begin; tile < end; tile++)
      for (int64_t k = 0; k < count; k++) {
        const T* const map = depends[k] ? z[k] : g;
        for (int64_t r = tile * tile_rows; r < std::min((tile + 1) * tile_rows, tiles.rows()); r++)
          for (int64_t v = 0; v < L; v += V) {
            const int64_t t = r * L + v, left = tiles.total - t;
            if (left <= 0) break;
            const Vector<T> av = load(as[k].data() + v), bv = load(bs[k].data() + v), cv = load(cs[k].data() + v);
            if (left >= V)
              store(gz[k] + t, av * load(g + t) + (bv * load(map + t) + cv));
            else
              store_first(gz[k] + t, av * load_first(g + t, left) + (bv * load_first(map + t, left) + cv), left);
          }
      }
  });
}

// out = sum over k of gain[k] * (z[k] - mean[k]) * inv_std[k], plus bias unless it is null.
template <class T>
void normalized_sum(int64_t pixels, int64_t n, int64_t count, const T* const* z, const T* mean, const T* inv_std, const T* gain,
                    const T* bias, const int64_t*, T* out, int64_t threads) {
  Array<T> factor(count * n), shift(n);
  if (bias) std::copy_n(bias, n, shift.begin());
  for (int64_t k = 0; k < count; k++)
    for (int64_t c = 0; c < n; c++) {
      factor[k * n + c] = gain[k * n + c] * inv_std[k * n + c];
      shift[c] -= factor[k * n + c] * mean[k * n + c];
    }
  weighted_sum(pixels, n, count, z, factor.data(), shift.data(), out, threads);
}

// Backward pass of normalized_sum: gradients of all maps, of the gains (count, n) and of the bias. If depends[k], map k is
// normalized with batch statistics, which depend on the map. If gain is null, all gains are 1.
template <class T>
void normalized_sum_backward(int64_t pixels, int64_t n, int64_t count, const T* g, const T* const* z, const T* mean,
                             const T* inv_std, const T* gain, const int64_t* depends, T* const* results,
                             int64_t threads) {
  T *const g_gain = results[count], *const g_bias = results[count + 1];
  Array<T> sums((count + 1) * n), a(count * n), b(count * n), c(count * n);
  gradient_sums(pixels, n, count, g, z, mean, sums.data(), threads);
  std::copy_n(sums.begin(), n, g_bias);
  for (int64_t i = 0; i < count * n; i++) {
    const T centerd = sums[n + i], s = inv_std[i];
    g_gain[i] = s * centerd;
    a[i] = gain ? gain[i] * s : s;
    b[i] = depends[i / n] ? -a[i] * s * s * centerd / pixels : T(0);
    c[i] = depends[i / n] ? -a[i] * sums[i % n] / pixels - b[i] * mean[i] : T(0);
  }
  gradients(pixels, n, count, g, z, depends, a.data(), b.data(), c.data(), results, threads);
}

}  // namespace adarts

ADARTS_KERNEL(statistics)
ADARTS_KERNEL(normalized_sum)
ADARTS_KERNEL(normalized_sum_backward)

// Batch normalization of several feature maps and their weighted sum: statistics, forward and backward pass. All maps of one
// call have the same shape: (pixels of all images, n).
#include "norm.h"

namespace adarts {
namespace {

// A map of `total` numbers, divided into rows of L (the last one may be incomplete) and the rows into tiles.
struct Tiles {
  int64_t total, L;
  int64_t rows() const { return (total + L - 1) / L; }
  int64_t count() const { return (rows() + tile_rows - 1) / tile_rows; }
  int64_t start(int64_t tile) const { return std::min(tile * tile_rows * L, total); }
};

}  // namespace

template <class T>
void moments(int64_t pixels, int64_t n, const T* z, T* mean, T* variance, int64_t threads) {
  const Tiles tiles{pixels * n, period<T>(n)};
  std::vector<std::vector<Moments>> parts(threads);
  in_parallel(threads, tiles.count(), [&](int64_t begin, int64_t end, int share) {
    parts[share].resize(tiles.L);
    add_moments(z, tiles.start(begin), tiles.start(end), tiles.L, parts[share].data());
  });
  combine(parts, 0, tiles.L, n, mean, variance);
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
      if (rm) update_running(n, pixels, momentum, m, variance.data(), rm, rv);
    } else {
      std::copy_n(rm, n, m);
      std::copy_n(rv, n, variance.begin());
    }
    inverse_deviation(n, variance.data(), eps, s);
  }
}

// out = sum over k of gain[k] * (z[k] - mean[k]) * inv_std[k], plus bias unless it is null.
template <class T>
void normalized_sum(int64_t pixels, int64_t n, int64_t count, const T* const* z, const T* mean, const T* inv_std, const T* gain,
                    const T* bias, const int64_t*, T* out, int64_t threads) {
  const Tiles tiles{pixels * n, period<T>(n)};
  const WeightedSum<T> sum(n, count, mean, inv_std, gain, bias);
  in_parallel(threads, tiles.rows(), [&](int64_t begin, int64_t end, int) {
    sum.run(z, begin * tiles.L, std::min(end * tiles.L, tiles.total), out);
  });
}

// Backward pass of normalized_sum: gradients of all maps, of the gains (count, n) and of the bias. If depends[k], map k is
// normalized with batch statistics, which depend on the map. If gain is null, all gains are 1.
template <class T>
void normalized_sum_backward(int64_t pixels, int64_t n, int64_t count, const T* g, const T* const* z, const T* mean,
                             const T* inv_std, const T* gain, const int64_t* depends, T* const* results,
                             int64_t threads) {
  T *const g_gain = results[count], *const g_bias = results[count + 1];
  const Tiles tiles{pixels * n, period<T>(n)};
  GradientSums<T> sums(n, count, mean, threads);
  in_parallel(threads, tiles.count(), [&](int64_t begin, int64_t end, int share) {
    for (int64_t tile = begin; tile < end; tile++) sums.add(share, g, z, tiles.start(tile), tiles.start(tile + 1));
  });
  const Array<T> found = sums.all();
  std::copy_n(found.begin(), n, g_bias);
  std::vector<MapGradient<T>> gradients;
  for (int64_t k = 0; k < count; k++) {
    for (int64_t c = 0; c < n; c++) g_gain[k * n + c] = inv_std[k * n + c] * found[(k + 1) * n + c];
    gradients.emplace_back(n, gain ? gain + k * n : nullptr, mean + k * n, inv_std + k * n, depends[k], found.data(),
                           found.data() + (k + 1) * n, pixels);
  }
  // A tile of g stays in the cache for all maps.
  in_parallel(threads, tiles.count(), [&](int64_t begin, int64_t end, int) {
    for (int64_t tile = begin; tile < end; tile++)
      for (int64_t k = 0; k < count; k++) gradients[k].run(g, z[k], tiles.start(tile), tiles.start(tile + 1), results[k]);
  });
}

}  // namespace adarts

ADARTS_KERNEL(statistics)
ADARTS_KERNEL(normalized_sum)
ADARTS_KERNEL(normalized_sum_backward)

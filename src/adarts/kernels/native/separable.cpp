// Several depthwise convolutions of one feature map, each followed by a pointwise convolution within groups of c channels.
//
// Each image is copied once into a padded buffer, with ReLU (or batch normalization as scale and shift, then ReLU) applied. All
// convolutions read this buffer, which stays in the cache. The results between depthwise and pointwise convolutions also stay in
// the cache and are not stored; the backward pass recomputes them.
#include <type_traits>

#include "vector.h"

namespace adarts {
namespace {

// Layout of one image with a border. With stride 2, even and odd columns are stored separately, so that adjacent outputs read
// adjacent pixels.
struct Padded {
  int64_t height, width, n, border, stride;
  int64_t columns() const { return (width + 2 * border + stride - 1) / stride; }
  int64_t pitch() const { return stride * columns() * n; }
  int64_t rows() const { return height + 2 * border; }
  // Vector loads may read past the end of the last row.
  int64_t size() const { return rows() * pitch() + 64 / 4; }
  int64_t column(int64_t c) const { return (c % stride) * columns() * n + (c / stride) * n; }
};

// Fill the inside of the buffer with relu(scale * x + shift), or relu(x) if scale is null; the border stays zero. Scale and shift
// are repeated over the width.
template <class T>
void fill(const Padded& p, const T* x, const T* scale, const T* shift, T* buffer) {
  const int64_t length = p.width * p.n;
  for (int64_t i = 0; i < p.height; i++) {
    T* row = buffer + (i + p.border) * p.pitch();
    const T* s = x + i * length;
    if (p.stride == 1) {
      T* d = row + p.border * p.n;
      if (scale == nullptr)
        for (int64_t t = 0; t < length; t++) d[t] = relu(s[t]);
      else
        for (int64_t t = 0; t < length; t++) d[t] = relu(s[t] * scale[t] + shift[t]);
      continue;
    }
    for (int64_t j = 0; j < p.width; j++) {
      T* d = row + p.column(j + p.border);
      const int64_t o = j * p.n;
      for (int64_t c = 0; c < p.n; c++) d[c] = relu(scale == nullptr ? s[o + c] : s[o + c] * scale[o + c] + shift[o + c]);
    }
  }
}

// Positions in the buffer of a convolution's taps for output row 0, column 0.
struct Taps {
  int64_t offset[49];
  Taps(const Padded& p, int kernel, int dilation) {
    const int64_t first = p.border - (kernel - 1) * dilation / 2;
    for (int a = 0; a < kernel; a++)
      for (int b = 0; b < kernel; b++)
        offset[a * kernel + b] = (first + a * dilation) * p.pitch() + p.column(first + b * dilation);
  }
};

// Compute `blocks` vectors of one output row, L numbers apart.
template <class T, int K, int blocks, bool add>
inline void convolve_blocks(const T* in, const int64_t* offset, const T* weight, int64_t L, T* out) {
  Vector<T> sum[blocks];
  for (int u = 0; u < blocks; u++) sum[u] = add ? load(out + u * L) : Vector<T>{};
#pragma GCC unroll 49
  for (int tap = 0; tap < K * K; tap++) {
    const Vector<T> w = load(weight + tap * L);
    const T* p = in + offset[tap];
    for (int u = 0; u < blocks; u++) sum[u] += w * load(p + u * L);
  }
  for (int u = 0; u < blocks; u++) store(out + u * L, sum[u]);
}

// Depthwise convolution of one image; with `add`, the result is added to the output.
template <class T, int K, bool add>
void convolve(const Padded& p, const Taps& taps, const T* buffer, const T* weight, int64_t L, int64_t height, int64_t length,
              T* out) {
  constexpr int64_t V = lanes<T>;
  for (int64_t i = 0; i < height; i++) {
    const T* in = buffer + i * p.stride * p.pitch();
    T* o = out + i * length;
    for (int64_t v = 0; v < L && v < length; v += V) {
      int64_t t = v;
      for (; t + (unroll - 1) * L + V <= length; t += unroll * L)
        convolve_blocks<T, K, unroll, add>(in + t, taps.offset, weight + v, L, o + t);
      for (; t + (unroll / 2 - 1) * L + V <= length; t += unroll / 2 * L)
        convolve_blocks<T, K, unroll / 2, add>(in + t, taps.offset, weight + v, L, o + t);
      for (; t + V <= length; t += L) convolve_blocks<T, K, 1, add>(in + t, taps.offset, weight + v, L, o + t);
      if (t < length) {
        T last[V];
        store(last, add ? load_first(o + t, length - t) : Vector<T>{});
        convolve_blocks<T, K, 1, add>(in + t, taps.offset, weight + v, L, last);
        std::memcpy(o + t, last, sizeof(T) * (length - t));
      }
    }
  }
}

// Add the gradient of the depthwise weight for one image to gw (K*K, L).
template <class T, int K>
void convolve_weight(const Padded& p, const Taps& taps, const T* buffer, const T* gy, int64_t L, int64_t height, int64_t length,
                     T* gw) {
  constexpr int64_t V = lanes<T>;
  // Number of taps per pass; it is limited by the registers for their sums.
  constexpr int together = vector_bytes == 64 && K <= 5 ? K * K : K;
  for (int64_t v = 0; v < L && v < length; v += V)
    for (int first = 0; first < K * K; first += together) {
      Vector<T> sum[together];
      for (int a = 0; a < together; a++) sum[a] = load(gw + (first + a) * L + v);
      for (int64_t i = 0; i < height; i++) {
        const T* in = buffer + i * p.stride * p.pitch();
        const T* g = gy + i * length;
        for (int64_t t = v; t < length; t += L) {
          const Vector<T> gradient = t + V <= length ? load(g + t) : load_first(g + t, length - t);
#pragma GCC unroll 49
          for (int a = 0; a < together; a++) sum[a] += gradient * load(in + t + taps.offset[first + a]);
        }
      }
      for (int a = 0; a < together; a++) store(gw + (first + a) * L + v, sum[a]);
    }
}

// Pointwise convolution within groups of c channels. If c is small, a vector holds whole groups, and input i of each group is
// broadcast over the group's lanes. If c is large, a vector holds outputs of one group, and inputs are broadcast one by one.
template <class T, int c>
inline Vector<T> spread(Vector<T> v, int i) {
  typedef typename std::conditional<sizeof(T) == 4, int32_t, int64_t>::type Index;
  typedef Index Indices __attribute__((vector_size(vector_bytes)));
  Indices index;
  for (int l = 0; l < lanes<T>; l++) index[l] = l / c * c + i;
#if defined(__clang__)
  Vector<T> result;
  for (int l = 0; l < lanes<T>; l++) result[l] = v[index[l]];
  return result;
#else
  return __builtin_shuffle(v, index);
#endif
}

template <class T, int c>
void pointwise_few(const T* y, const T* weight, int64_t length, int64_t L, T* z) {
  constexpr int64_t V = lanes<T>;
  for (int64_t v = 0; v < L && v < length; v += V) {
    Vector<T> w[c];
    for (int i = 0; i < c; i++) w[i] = load(weight + (v / V * c + i) * V);
    for (int64_t t = v; t < length; t += L) {
      const bool whole = t + V <= length;
      const Vector<T> input = whole ? load(y + t) : load_first(y + t, length - t);
      Vector<T> sum{};
#pragma GCC unroll 16
      for (int i = 0; i < c; i++) sum += w[i] * spread<T, c>(input, i);
      whole ? store(z + t, sum) : store_first(z + t, sum, length - t);
    }
  }
}

template <class T, int c>
void pointwise_few_weight(const T* y, const T* gz, int64_t length, int64_t L, T* gw) {
  constexpr int64_t V = lanes<T>;
  for (int64_t v = 0; v < L && v < length; v += V) {
    Vector<T> sum[c];
    for (int i = 0; i < c; i++) sum[i] = load(gw + (v / V * c + i) * V);
    for (int64_t t = v; t < length; t += L) {
      const bool whole = t + V <= length;
      const Vector<T> input = whole ? load(y + t) : load_first(y + t, length - t);
      const Vector<T> gradient = whole ? load(gz + t) : load_first(gz + t, length - t);
#pragma GCC unroll 16
      for (int i = 0; i < c; i++) sum[i] += gradient * spread<T, c>(input, i);
    }
    for (int i = 0; i < c; i++) store(gw + (v / V * c + i) * V, sum[i]);
  }
}

// Call body with `value` as a compile-time constant, if it is one of `values`; loops of this length are then unrolled.
template <int... values, class Body>
void with_constant(int64_t value, Body body) {
  ((value == values ? body(std::integral_constant<int, values>()) : void()), ...);
}

// If c is a multiple of the vector width, then L = n and no vector crosses a pixel.
template <class T>
void pointwise_any(int64_t c, const T* y, const T* w, int64_t length, int64_t L, int64_t n, T* z) {
  constexpr int64_t V = lanes<T>;
  if (c % V) return with_constant<1, 2, 4, 8>(c, [&](auto few) { pointwise_few<T, few()>(y, w, length, L, z); });
  for (int64_t v = 0; v < n; v += V)
    multiply(y + v / c * c, n, w + v * c, c, V, length / n,
             [&](int64_t p, int64_t, Vector<T> sum) { store(z + p * n + v, sum); });
}

template <class T>
void pointwise_weight_any(int64_t c, const T* y, const T* gz, int64_t length, int64_t L, int64_t n, T* gw) {
  constexpr int64_t V = lanes<T>;
  if (c % V) return with_constant<1, 2, 4, 8>(c, [&](auto few) { pointwise_few_weight<T, few()>(y, gz, length, L, gw); });
  for (int64_t v = 0; v < n; v += V) add_products(gz + v, n, y + v / c * c, n, c, length / n, gw + v * c, V);
}

// Rearrange depthwise weights for the kernels: (n, k, k) -> (taps, L).
template <class T>
Array<T> spread_depthwise(const T* w, int64_t n, int taps, int64_t L, bool flipped) {
  Array<T> result(taps * L);
  for (int tap = 0; tap < taps; tap++)
    for (int64_t l = 0; l < L; l++) result[(flipped ? taps - 1 - tap : tap) * L + l] = w[l % n * taps + tap];
  return result;
}

// Rearrange pointwise weights: (n / c, out, in) -> (L / V, c, V), the weights of each input for every vector of outputs.
template <class T>
Array<T> spread_pointwise(const T* w, int64_t n, int64_t c, int64_t L, bool transposed) {
  constexpr int64_t V = lanes<T>;
  Array<T> result(L * c);
  for (int64_t l = 0; l < L; l++) {
    const int64_t group = l % n / c, out = l % n % c;
    for (int64_t i = 0; i < c; i++)
      result[(l / V * c + i) * V + l % V] = transposed ? w[(group * c + i) * c + out] : w[(group * c + out) * c + i];
  }
  return result;
}

template <class T>
void convolve_any(int64_t kernel, bool add, const Padded& p, const Taps& taps, const T* buffer, const T* w, int64_t L,
                  int64_t height, int64_t length, T* out) {
  with_constant<3, 5, 7>(kernel, [&](auto k) {
    add ? convolve<T, k(), true>(p, taps, buffer, w, L, height, length, out)
        : convolve<T, k(), false>(p, taps, buffer, w, L, height, length, out);
  });
}

template <class T>
void convolve_weight_any(int64_t kernel, const Padded& p, const Taps& taps, const T* buffer, const T* gy, int64_t L,
                         int64_t height, int64_t length, T* gw) {
  with_constant<3, 5, 7>(kernel, [&](auto k) { convolve_weight<T, k()>(p, taps, buffer, gy, L, height, length, gw); });
}

}  // namespace

// The convolutions of one call. `sizes` are batch, n, height, width, count, c; c is 0 without pointwise convolutions.
template <class T>
struct Group {
  const T* const* depthwise;
  const T* const* pointwise;
  const int64_t *kernel, *dilation;
  int64_t batch, n, height, width, count, c, stride;
  Group(const int64_t* sizes, const int64_t* kernel, const T* const* depthwise, const T* const* pointwise,
        const int64_t* dilation, int64_t stride)
      : depthwise(depthwise), pointwise(pointwise), kernel(kernel), dilation(dilation), batch(sizes[0]), n(sizes[1]),
        height(sizes[2]), width(sizes[3]), count(sizes[4]), c(sizes[5]), stride(stride) {}

  int64_t out_height() const { return (height + stride - 1) / stride; }
  int64_t out_length() const { return (width + stride - 1) / stride * n; }
  int64_t out_size() const { return out_height() * out_length(); }
  int64_t in_size() const { return height * width * n; }
  Padded padded() const {
    int64_t border = 0;
    for (int64_t k = 0; k < count; k++) border = std::max(border, (kernel[k] - 1) * dilation[k] / 2);
    return {height, width, n, border, stride};
  }
};

// The normalization (x - mean) * inv_std as scale and shift along a row; both are empty without normalization.
template <class T>
Array<T> repeated_scale(const Group<T>& g, const T* inv_std) {
  return inv_std ? repeated(inv_std, g.n, g.width * g.n) : Array<T>();
}

template <class T>
Array<T> repeated_shift(const Group<T>& g, const T* mean, const T* inv_std) {
  Array<T> result(inv_std ? g.width * g.n : 0);
  for (size_t t = 0; t < result.size(); t++) result[t] = -mean[t % g.n] * inv_std[t % g.n];
  return result;
}

template <class T>
void separable(const int64_t* sizes, const int64_t* kernel, const T* x, const T* mean, const T* inv_std, int64_t,
               const T* const* depthwise, const T* const* pointwise, const int64_t* dilation, int64_t stride, T* const* z,
               int64_t threads) {
  const Group<T> g(sizes, kernel, depthwise, pointwise, dilation, stride);
  const Padded padded = g.padded();
  const int64_t L = period<T>(g.n);
  std::vector<Array<T>> spatial, mixing;
  std::vector<Taps> taps;
  for (int64_t k = 0; k < g.count; k++) {
    taps.emplace_back(padded, g.kernel[k], g.dilation[k]);
    spatial.push_back(spread_depthwise(g.depthwise[k], g.n, g.kernel[k] * g.kernel[k], L, false));
    mixing.push_back(g.c ? spread_pointwise(g.pointwise[k], g.n, g.c, L, false) : Array<T>());
  }
  const Array<T> scales = repeated_scale(g, inv_std), shifts = repeated_shift(g, mean, inv_std);
  const T* scale = inv_std ? scales.data() : nullptr;
  in_parallel(threads, g.batch, [&](int64_t begin, int64_t end, int) {
    Array<T> buffer(padded.size()), y(g.out_size());
    for (int64_t b = begin; b < end; b++) {
      fill(padded, x + b * g.in_size(), scale, shifts.data(), buffer.data());
      for (int64_t k = 0; k < g.count; k++) {
        T* out = z[k] + b * g.out_size();
        convolve_any<T>(g.kernel[k], false, padded, taps[k], buffer.data(), spatial[k].data(), L, g.out_height(),
                        g.out_length(), g.c ? y.data() : out);
        if (g.c) pointwise_any(g.c, y.data(), mixing[k].data(), g.out_size(), L, g.n, out);
      }
    }
  });
}

// Gradients: gx, of the ReLU's input (the normalized x, if there is a normalization). With `weights`, also the gradients of all
// depthwise weights (n, k, k), then of all pointwise weights (n / c, out, in).
template <class T>
void separable_backward(const int64_t* sizes, const int64_t* kernel, const T* x, const T* mean, const T* inv_std,
                        const T* const* gz, const T* const* depthwise, const T* const* pointwise, const int64_t* dilation,
                        int64_t stride, int64_t weights, T* const* results, int64_t threads) {
  constexpr int64_t V = lanes<T>;
  const Group<T> g(sizes, kernel, depthwise, pointwise, dilation, stride);
  T *const gx = results[0], *const *g_depthwise = results + 1, *const *g_pointwise = results + 1 + g.count;
  const Padded padded = g.padded();
  const int64_t L = period<T>(g.n);
  std::vector<Array<T>> flipped, straight, transposed;
  std::vector<Taps> taps, back;
  std::vector<Padded> spaced;
  std::vector<int64_t> place, place_pointwise;
  int64_t total = 0;
  for (int64_t k = 0; k < g.count; k++) {
    const int64_t square = g.kernel[k] * g.kernel[k];
    taps.emplace_back(padded, g.kernel[k], g.dilation[k]);
    // Layout of the gradient at the input's resolution; with stride 2 there are zeros between its pixels.
    spaced.push_back({g.height, g.width, g.n, (g.kernel[k] - 1) * g.dilation[k] / 2, 1});
    back.emplace_back(spaced[k], g.kernel[k], g.dilation[k]);
    flipped.push_back(spread_depthwise(g.depthwise[k], g.n, square, L, true));
    straight.push_back(weights && g.c ? spread_depthwise(g.depthwise[k], g.n, square, L, false) : Array<T>());
    transposed.push_back(g.c ? spread_pointwise(g.pointwise[k], g.n, g.c, L, true) : Array<T>());
    place.push_back(total);
    total += square * L;
    place_pointwise.push_back(total);
    total += g.c ? g.c * L : 0;
  }
  const Array<T> scales = repeated_scale(g, inv_std), shifts = repeated_shift(g, mean, inv_std);
  const T* scale = inv_std ? scales.data() : nullptr;
  std::vector<Array<T>> sums(threads);
  in_parallel(threads, g.batch, [&](int64_t begin, int64_t end, int share) {
    Array<T> buffer(weights ? padded.size() : 0), y(g.out_size()), inner(g.out_size());
    // Initialized with zeros; later only the inside is written.
    std::vector<Array<T>> rooms;
    for (const Padded& s : spaced) rooms.emplace_back(s.size());
    Array<T>& gw = sums[share];
    if (weights) gw.resize(total);
    for (int64_t b = begin; b < end; b++) {
      const T* image = x + b * g.in_size();
      T* out = gx + b * g.in_size();
      if (weights) fill(padded, image, scale, shifts.data(), buffer.data());
      for (int64_t k = 0; k < g.count; k++) {
        const T* gradient = gz[k] + b * g.out_size();
        if (g.c) {
          pointwise_any(g.c, gradient, transposed[k].data(), g.out_size(), L, g.n, inner.data());
          if (weights) {
            convolve_any<T>(g.kernel[k], false, padded, taps[k], buffer.data(), straight[k].data(), L, g.out_height(),
                            g.out_length(), y.data());
            pointwise_weight_any(g.c, y.data(), gradient, g.out_size(), L, g.n, gw.data() + place_pointwise[k]);
          }
          gradient = inner.data();
        }
        if (weights)
          convolve_weight_any<T>(g.kernel[k], padded, taps[k], buffer.data(), gradient, L, g.out_height(), g.out_length(),
                                 gw.data() + place[k]);
        const Padded& s = spaced[k];
        for (int64_t i = 0; i < g.out_height(); i++) {
          T* row = rooms[k].data() + (i * g.stride + s.border) * s.pitch() + s.border * g.n;
          const T* from = gradient + i * g.out_length();
          if (g.stride == 1)
            std::memcpy(row, from, sizeof(T) * g.out_length());
          else
            for (int64_t t = 0; t < g.out_length(); t += g.n) std::memcpy(row + t * g.stride, from + t, sizeof(T) * g.n);
        }
        convolve_any<T>(g.kernel[k], k > 0, s, back[k], rooms[k].data(), flipped[k].data(), L, g.height, g.width * g.n, out);
      }
      if (!scale)
        for (int64_t t = 0; t < g.in_size(); t++) out[t] = image[t] <= 0 ? T(0) : out[t];
      else
        for (int64_t i = 0; i < g.height; i++)
          for (int64_t t = 0, q = i * g.width * g.n; t < g.width * g.n; t++, q++)
            out[q] = image[q] * scales[t] + shifts[t] <= 0 ? T(0) : out[q];
    }
  });
  if (!weights) return;
  Array<T> sum(total);
  for (const auto& part : sums)
    for (size_t i = 0; i < part.size(); i++) sum[i] += part[i];
  for (int64_t k = 0; k < g.count; k++) {
    const int64_t square = g.kernel[k] * g.kernel[k];
    std::fill_n(g_depthwise[k], g.n * square, T(0));
    for (int64_t tap = 0; tap < square; tap++)
      for (int64_t l = 0; l < L; l++) g_depthwise[k][l % g.n * square + tap] += sum[place[k] + tap * L + l];
    if (!g.c) continue;
    std::fill_n(g_pointwise[k], g.n * g.c, T(0));
    for (int64_t l = 0; l < L; l++)
      for (int64_t i = 0; i < g.c; i++)
        g_pointwise[k][l % g.n * g.c + i] += sum[place_pointwise[k] + (l / V * g.c + i) * V + l % V];
  }
}

}  // namespace adarts

ADARTS_KERNEL(separable)
ADARTS_KERNEL(separable_backward)

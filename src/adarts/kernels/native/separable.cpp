// The convolutions of separable.h, and the kernels that run them on all images.
#include "separable.h"

#include "channels.h"

namespace adarts {
namespace {

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
  Indices<T> index;
  for (int l = 0; l < lanes<T>; l++) index[l] = l / c * c + i;
  return permuted<T>(v, index);
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

int64_t largest_border(const std::vector<int64_t>& kernel, const std::vector<int64_t>& dilation) {
  int64_t border = 0;
  for (size_t k = 0; k < kernel.size(); k++) border = std::max(border, (kernel[k] - 1) * dilation[k] / 2);
  return border;
}

}  // namespace

template <class T>
Separable<T>::Separable(const Convolutions<T>& convolutions, const T* mean, const T* inv_std)
    : g(convolutions), padded{g.height, g.width, g.n, largest_border(g.kernel, g.dilation), g.stride}, L(period<T>(g.n)) {
  for (int64_t k = 0; k < g.count(); k++) taps.emplace_back(padded, g.kernel[k], g.dilation[k]);
  if (!inv_std) return;
  scale = repeated(inv_std, g.n, g.width * g.n);
  shift.resize(scale.size());
  for (size_t t = 0; t < shift.size(); t++) shift[t] = -mean[t % g.n] * scale[t];
}

// Fill the inside of the buffer with relu(scale * x + shift), or relu(x) without normalization; the border stays zero.
template <class T>
void Separable<T>::fill(const T* x, T* buffer) const {
  const Padded& p = padded;
  const int64_t length = p.width * p.n;
  const bool plain = scale.empty();
  for (int64_t i = 0; i < p.height; i++) {
    T* row = buffer + (i + p.border) * p.pitch();
    const T* s = x + i * length;
    if (p.stride == 1) {
      T* d = row + p.border * p.n;
      if (plain)
        for (int64_t t = 0; t < length; t++) d[t] = relu(s[t]);
      else
        for (int64_t t = 0; t < length; t++) d[t] = relu(s[t] * scale[t] + shift[t]);
      continue;
    }
    for (int64_t j = 0; j < p.width; j++) {
      T* d = row + p.column(j + p.border);
      const int64_t o = j * p.n;
      for (int64_t c = 0; c < p.n; c++) d[c] = relu(plain ? s[o + c] : s[o + c] * scale[o + c] + shift[o + c]);
    }
  }
}

template <class T>
SeparableForward<T>::SeparableForward(const Convolutions<T>& convolutions, const T* mean, const T* inv_std)
    : Separable<T>(convolutions, mean, inv_std) {
  const auto& g = this->g;
  for (int64_t k = 0; k < g.count(); k++) {
    spatial.push_back(spread_depthwise(g.depthwise[k], g.n, g.kernel[k] * g.kernel[k], this->L, false));
    mixing.push_back(g.c ? spread_pointwise(g.pointwise[k], g.n, g.c, this->L, false) : Array<T>());
  }
}

template <class T>
void SeparableForward<T>::convolve(int64_t k, T* z, Room& room) const {
  const auto& g = this->g;
  convolve_any<T>(g.kernel[k], false, this->padded, this->taps[k], room.buffer.data(), spatial[k].data(), this->L, g.out_height(),
                  g.out_length(), g.c ? room.y.data() : z);
  if (g.c) pointwise_any(g.c, room.y.data(), mixing[k].data(), g.out_size(), this->L, g.n, z);
}

template <class T>
SeparableBackward<T>::SeparableBackward(const Convolutions<T>& convolutions, const T* mean, const T* inv_std, bool weights)
    : Separable<T>(convolutions, mean, inv_std), weights(weights) {
  const auto& g = this->g;
  const int64_t L = this->L;
  for (int64_t k = 0; k < g.count(); k++) {
    const int64_t square = g.kernel[k] * g.kernel[k];
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
}

template <class T>
SeparableBackward<T>::Room::Room(const SeparableBackward& s)
    : buffer(s.weights ? s.padded.size() : 0), y(s.weights && s.g.c ? s.g.out_size() : 0), inner(s.g.c ? s.g.out_size() : 0),
      sums(s.weights ? s.total : 0) {
  // Initialized with zeros; later only the inside is written.
  for (const Padded& p : s.spaced) spaced.emplace_back(p.size());
}

template <class T>
void SeparableBackward<T>::image(const T* x, const T* const* gz, T* gx, Room& room) const {
  const auto& g = this->g;
  const int64_t L = this->L;
  if (weights) this->fill(x, room.buffer.data());
  for (int64_t k = 0; k < g.count(); k++) {
    const T* gradient = gz[k];
    if (g.c) {
      pointwise_any(g.c, gradient, transposed[k].data(), g.out_size(), L, g.n, room.inner.data());
      if (weights) {
        convolve_any<T>(g.kernel[k], false, this->padded, this->taps[k], room.buffer.data(), straight[k].data(), L,
                        g.out_height(), g.out_length(), room.y.data());
        pointwise_weight_any(g.c, room.y.data(), gradient, g.out_size(), L, g.n, room.sums.data() + place_pointwise[k]);
      }
      gradient = room.inner.data();
    }
    if (weights)
      convolve_weight_any<T>(g.kernel[k], this->padded, this->taps[k], room.buffer.data(), gradient, L, g.out_height(),
                             g.out_length(), room.sums.data() + place[k]);
    const Padded& s = spaced[k];
    for (int64_t i = 0; i < g.out_height(); i++) {
      T* row = room.spaced[k].data() + (i * g.stride + s.border) * s.pitch() + s.border * g.n;
      const T* from = gradient + i * g.out_length();
      if (g.stride == 1)
        std::memcpy(row, from, sizeof(T) * g.out_length());
      else
        for (int64_t t = 0; t < g.out_length(); t += g.n) std::memcpy(row + t * g.stride, from + t, sizeof(T) * g.n);
    }
    convolve_any<T>(g.kernel[k], k > 0, s, back[k], room.spaced[k].data(), flipped[k].data(), L, g.height, g.width * g.n, gx);
  }
  if (this->scale.empty())
    for (int64_t t = 0; t < g.in_size(); t++) gx[t] = x[t] <= 0 ? T(0) : gx[t];
  else
    for (int64_t i = 0; i < g.height; i++)
      for (int64_t t = 0, q = i * g.width * g.n; t < g.width * g.n; t++, q++)
        gx[q] = x[q] * this->scale[t] + this->shift[t] <= 0 ? T(0) : gx[q];
}

template <class T>
void SeparableBackward<T>::of_weights(const std::vector<Room>& rooms, int64_t k, T* g_depthwise, T* g_pointwise) const {
  constexpr int64_t V = lanes<T>;
  const auto& g = this->g;
  const int64_t L = this->L, square = g.kernel[k] * g.kernel[k];
  Array<T> sum((square + g.c) * L);
  for (const Room& room : rooms)
    if (!room.sums.empty())
      for (size_t i = 0; i < sum.size(); i++) sum[i] += room.sums[place[k] + i];
  std::fill_n(g_depthwise, g.n * square, T(0));
  for (int64_t tap = 0; tap < square; tap++)
    for (int64_t l = 0; l < L; l++) g_depthwise[l % g.n * square + tap] += sum[tap * L + l];
  if (!g.c) return;
  std::fill_n(g_pointwise, g.n * g.c, T(0));
  for (int64_t l = 0; l < L; l++)
    for (int64_t i = 0; i < g.c; i++) g_pointwise[l % g.n * g.c + i] += sum[square * L + (l / V * g.c + i) * V + l % V];
}

template class SeparableForward<float>;
template class SeparableForward<double>;
template class SeparableBackward<float>;
template class SeparableBackward<double>;

namespace {

// The convolutions of one call of the kernels. `sizes` are batch, n, height, width, count, c.
template <class T>
Convolutions<T> of_call(const int64_t* sizes, const int64_t* kernel, const T* const* depthwise, const T* const* pointwise,
                        const int64_t* dilation, int64_t stride) {
  const int64_t count = sizes[4], c = sizes[5];
  const std::vector<const T*> matrices(pointwise, pointwise + (c ? count : 0));
  return {sizes[1], sizes[2], sizes[3], c, stride, {depthwise, depthwise + count}, matrices, {kernel, kernel + count},
          {dilation, dilation + count}};
}

}  // namespace

template <class T>
void separable(const int64_t* sizes, const int64_t* kernel, const T* x, const T* mean, const T* inv_std, int64_t,
               const T* const* depthwise, const T* const* pointwise, const int64_t* dilation, int64_t stride, T* const* z,
               int64_t threads) {
  const Convolutions<T> g = of_call(sizes, kernel, depthwise, pointwise, dilation, stride);
  const SeparableForward<T> forward(g, mean, inv_std);
  in_parallel(threads, sizes[0], [&](int64_t begin, int64_t end, int) {
    typename SeparableForward<T>::Room room(forward);
    for (int64_t b = begin; b < end; b++) {
      forward.read(x + b * g.in_size(), room);
      for (int64_t k = 0; k < g.count(); k++) forward.convolve(k, z[k] + b * g.out_size(), room);
    }
  });
}

// Gradients: gx, of the ReLU's input (the normalized x, if there is a normalization). With `weights`, also the gradients of all
// depthwise weights (n, k, k), then of all pointwise weights (n / c, out, in).
template <class T>
void separable_backward(const int64_t* sizes, const int64_t* kernel, const T* x, const T* mean, const T* inv_std,
                        const T* const* gz, const T* const* depthwise, const T* const* pointwise, const int64_t* dilation,
                        int64_t stride, int64_t weights, T* const* results, int64_t threads) {
  const Convolutions<T> g = of_call(sizes, kernel, depthwise, pointwise, dilation, stride);
  const SeparableBackward<T> backward(g, mean, inv_std, weights);
  std::vector<typename SeparableBackward<T>::Room> rooms(threads);
  in_parallel(threads, sizes[0], [&](int64_t begin, int64_t end, int share) {
    rooms[share] = typename SeparableBackward<T>::Room(backward);
    std::vector<const T*> in(g.count());
    for (int64_t b = begin; b < end; b++) {
      for (int64_t k = 0; k < g.count(); k++) in[k] = gz[k] + b * g.out_size();
      backward.image(x + b * g.in_size(), in.data(), results[0] + b * g.in_size(), rooms[share]);
    }
  });
  for (int64_t k = 0; weights && k < g.count(); k++)
    backward.of_weights(rooms, k, results[1 + k], g.c ? results[1 + g.count() + k] : nullptr);
}

}  // namespace adarts

ADARTS_KERNEL(separable)
ADARTS_KERNEL(separable_backward)

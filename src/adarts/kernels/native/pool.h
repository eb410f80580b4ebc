// 3x3 max and average pooling of an image in one pass; the average excludes the padding. Also the mean and the maximum over all
// its pixels.
#pragma once

#include <limits>
#include <type_traits>

#include "vector.h"

namespace adarts {

struct Pooled {
  int64_t n, height, width, stride;
  int64_t out_height() const { return (height + stride - 1) / stride; }
  int64_t out_width() const { return (width + stride - 1) / stride; }
  int64_t out_length() const { return out_width() * n; }
  int64_t out_size() const { return out_height() * out_length(); }
  int64_t in_size() const { return height * width * n; }
};

// Call body(tap, position in the output row, position in the image, length) for every contiguous part of the input that output
// row i reads with one tap.
template <class Body>
void for_taps(const Pooled& s, int64_t i, Body body) {
  for (int a = -1; a <= 1; a++) {
    const int64_t row = i * s.stride + a;
    if (row < 0 || row >= s.height) continue;
    for (int b = -1; b <= 1; b++) {
      const int tap = (a + 1) * 3 + b + 1;
      if (s.stride == 1) {
        const int64_t from = b < 0 ? 1 : 0, to = b > 0 ? s.width - 1 : s.width;
        if (to > from) body(tap, from * s.n, (row * s.width + from + b) * s.n, (to - from) * s.n);
      } else {
        for (int64_t j = 0; j < s.out_width(); j++) {
          const int64_t column = j * s.stride + b;
          if (column >= 0 && column < s.width) body(tap, j * s.n, (row * s.width + column) * s.n, s.n);
        }
      }
    }
  }
}

inline int64_t inside(int64_t i, int64_t stride, int64_t size) {
  int64_t count = 0;
  for (int a = -1; a <= 1; a++) count += i * stride + a >= 0 && i * stride + a < size;
  return count;
}

// 1 / (number of columns inside the image), for each output of a row.
template <class T>
Array<T> column_shares(const Pooled& s) {
  Array<T> result(s.out_length());
  for (int64_t t = 0; t < s.out_length(); t++) result[t] = T(1) / inside(t / s.n, s.stride, s.width);
  return result;
}

// Both pools of some rows of the result. `tap_of_largest` records which of the nine pixels is the maximum. As in torch, it is the
// first maximum or the last NaN.
template <class T>
class Pools {
 public:
  explicit Pools(const Pooled& shape) : s(shape), share(column_shares<T>(shape)) {}

  // During the comparison, taps have the width of the numbers; otherwise the loop would not use whole vectors.
  typedef std::vector<typename std::conditional<sizeof(T) == 4, int32_t, int64_t>::type> Room;

  // Row i of the result from an image.
  [[gnu::noinline]] void row(const T* image, int64_t i, T* largest, T* average, uint8_t* tap_of_largest, Room& which) const {
    typedef typename Room::value_type Index;
    const int64_t length = s.out_length();
    which.assign(length, Index(4));  // the center is always inside
    T* __restrict m = largest;
    T* __restrict a = average;
    Index* __restrict w = which.data();
    std::fill_n(m, length, -std::numeric_limits<T>::infinity());
    std::fill_n(a, length, T(0));
    for_taps(s, i, [&](int tap, int64_t out, int64_t in, int64_t count) {
      const T* __restrict from = image + in;
      T* __restrict most = m + out;
      T* __restrict sum = a + out;
      Index* __restrict taps = w + out;
      for (int64_t t = 0; t < count; t++) {
        const T value = from[t], before = most[t];
        const Index other = taps[t];
        const bool larger = value > before || value != value;
        most[t] = larger ? value : before;
        taps[t] = larger ? Index(tap) : other;
        sum[t] += value;
      }
    });
    const T rows = T(1) / inside(i, s.stride, s.height);
    for (int64_t t = 0; t < length; t++) a[t] *= share[t] * rows;
    std::copy(which.begin(), which.end(), tap_of_largest);
  }

  // Add the gradient of an image to gx.
  [[gnu::noinline]] void add_gradient(const T* g_largest, const T* g_average, const uint8_t* tap_of_largest, T* gx,
                                      Array<T>& scaled, Room& which) const {
    const int64_t length = s.out_length();
    scaled.resize(length);
    which.resize(length);
    for (int64_t i = 0; i < s.out_height(); i++) {
      const T* __restrict m = g_largest + i * length;
      const T* __restrict a = g_average + i * length;
      std::copy_n(tap_of_largest + i * length, length, which.begin());
      const auto* __restrict w = which.data();
      const T rows = T(1) / inside(i, s.stride, s.height);
      for (int64_t t = 0; t < length; t++) scaled[t] = a[t] * share[t] * rows;
      for_taps(s, i, [&](int tap, int64_t out, int64_t in, int64_t count) {
        T* __restrict to = gx + in;
        const T* __restrict q = scaled.data() + out;
        const T* __restrict own = m + out;
        const auto* __restrict taps = w + out;
        for (int64_t t = 0; t < count; t++) {
          const T gradient = own[t];  // read in any case, so that the loop uses whole vectors
          to[t] += q[t] + (taps[t] == tap ? gradient : T(0));
        }
      });
    }
  }

 private:
  Pooled s;
  Array<T> share;
};

// Mean and maximum over all pixels of an image (n), and the pixel of the maximum (the first one, or the last NaN).
template <class T>
void pool_image(const T* image, int64_t pixels, int64_t n, T* mean, T* largest, int32_t* pixel) {
  T* __restrict a = mean;
  T* __restrict m = largest;
  int32_t* __restrict w = pixel;
  std::fill_n(a, n, T(0));
  std::fill_n(m, n, -std::numeric_limits<T>::infinity());
  std::fill_n(w, n, 0);
  for (int64_t p = 0; p < pixels; p++) {
    const T* __restrict from = image + p * n;
    for (int64_t c = 0; c < n; c++) {
      const bool larger = from[c] > m[c] || from[c] != from[c];
      a[c] += from[c];
      m[c] = larger ? from[c] : m[c];
      w[c] = larger ? int32_t(p) : w[c];
    }
  }
  for (int64_t c = 0; c < n; c++) a[c] /= pixels;
}

}  // namespace adarts

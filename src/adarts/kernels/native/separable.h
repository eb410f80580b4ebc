// Several depthwise convolutions of one feature map, each followed by a pointwise convolution within groups of c channels.
//
// Each image is copied once into a padded buffer, with ReLU (or batch normalization as scale and shift, then ReLU) applied. All
// convolutions read this buffer, which stays in the cache. The results between depthwise and pointwise convolutions also stay in
// the cache and are not stored; the backward pass recomputes them.
#pragma once

#include "vector.h"

namespace adarts {

// The convolutions of one feature map of n channels; c is 0 without pointwise convolutions.
template <class T>
struct Convolutions {
  int64_t n, height, width, c, stride;
  std::vector<const T*> depthwise, pointwise;  // (n, kernel, kernel) and (n / c, out, in) of every convolution
  std::vector<int64_t> kernel, dilation;

  int64_t count() const { return kernel.size(); }
  int64_t out_height() const { return (height + stride - 1) / stride; }
  int64_t out_length() const { return (width + stride - 1) / stride * n; }
  int64_t out_size() const { return out_height() * out_length(); }
  int64_t in_size() const { return height * width * n; }
};

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

// Positions in the buffer of a convolution's taps for output row 0, column 0.
struct Taps {
  int64_t offset[49];
  Taps(const Padded& p, int64_t kernel, int64_t dilation) {
    const int64_t first = p.border - (kernel - 1) * dilation / 2;
    for (int64_t a = 0; a < kernel; a++)
      for (int64_t b = 0; b < kernel; b++)
        offset[a * kernel + b] = (first + a * dilation) * p.pitch() + p.column(first + b * dilation);
  }
};

// What both passes share. The normalization before the ReLU is (x - mean) * inv_std; null pointers: none.
template <class T>
class Separable {
 public:
  Separable(const Convolutions<T>& convolutions, const T* mean, const T* inv_std);

 protected:
  void fill(const T* x, T* buffer) const;

  Convolutions<T> g;
  Padded padded;
  int64_t L;
  std::vector<Taps> taps;
  Array<T> scale, shift;  // of the normalization along a row; empty without it
};

// The convolutions of an image.
template <class T>
class SeparableForward : Separable<T> {
 public:
  SeparableForward(const Convolutions<T>& convolutions, const T* mean, const T* inv_std);

  // The buffers of a thread.
  struct Room {
    Array<T> buffer, y;
    explicit Room(const SeparableForward& s) : buffer(s.padded.size()), y(s.g.out_size()) {}
  };
  // Read an image, then compute convolution k of it.
  void read(const T* x, Room& room) const { this->fill(x, room.buffer.data()); }
  void convolve(int64_t k, T* z, Room& room) const;

 private:
  std::vector<Array<T>> spatial, mixing;
};

// Their gradients: those of the ReLU's argument (the normalized x, if there is a normalization), image by image, and those of
// the weights if these are wanted.
template <class T>
class SeparableBackward : Separable<T> {
 public:
  SeparableBackward(const Convolutions<T>& convolutions, const T* mean, const T* inv_std, bool weights);

  // The buffers of a thread, and its sums of the weights' gradients.
  struct Room {
    Array<T> buffer, y, inner;
    std::vector<Array<T>> spaced;
    Array<T> sums;
    Room() = default;
    explicit Room(const SeparableBackward& s);
  };
  void image(const T* x, const T* const* gz, T* gx, Room& room) const;
  // The gradient of convolution k's depthwise and pointwise weight.
  void of_weights(const std::vector<Room>& rooms, int64_t k, T* g_depthwise, T* g_pointwise) const;

 private:
  bool weights;
  std::vector<Array<T>> flipped, straight, transposed;
  std::vector<Taps> back;
  std::vector<Padded> spaced;
  std::vector<int64_t> place, place_pointwise;
  int64_t total = 0;
};

}  // namespace adarts

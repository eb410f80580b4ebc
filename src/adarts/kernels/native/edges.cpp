// All mixed edges that leave a node, in one call forward and one backward (Algorithm 3 and eq. 10 of the paper).
//
// The work goes image by image, so that what belongs to an image stays in the cache. Only a normalization needs all images; it
// divides a pass into phases. The backward pass gets the feature maps before each normalization; the channels that enter the
// operations are selected again, and gradients between the phases are made when a kernel needs them.
#include <memory>

#include "attention.h"
#include "channels.h"
#include "dense.h"
#include "norm.h"
#include "pool.h"
#include "separable.h"

namespace adarts {
namespace {

// Numbers of a candidate and of a call, in the order in which edges.py writes them.
enum Kind : int64_t { largest_of_nine, average_of_nine, identity, halved, once, twice, none };
struct Candidate {
  int64_t group, kind, gain, weight, norm, kernel, dilation;
};
struct Sizes {
  int64_t batch, C, height, width, edges, c, stride, per_image, gains, modules, hidden, training, constants, groups, candidates;
  int64_t pixels() const { return height * width; }
  int64_t out_height() const { return (height + stride - 1) / stride; }
  int64_t out_width() const { return (width + stride - 1) / stride; }
  int64_t out_pixels() const { return out_height() * out_width(); }
  int64_t n() const { return edges * c; }        // channels that enter the operations
  bool bypass() const { return c < C; }          // whether channels bypass them
};

// A feature map that is normalized and then summed, or convolved again.
template <class T>
struct Map {
  T* data;            // (batch, out_pixels, n); null: the entering channels themselves
  int64_t gain;       // row of its gain; -1 within an operation
  int64_t norm;       // row of its running statistics; -1: not normalized
  T *mean, *inv_std;  // (n)
  int64_t lane;       // where its moments lie
};

// The candidates of adjacent edges, and where their maps are. Positions are among `maps`; -1: none.
template <class T>
struct Group {
  struct Twice {
    int first, second;
    Convolutions<T> convolution;
  };
  struct Half {
    int map;
    Halves<T> product;
    int64_t weight;
  };
  int64_t start, edges, n, column, L, size;  // size: of a map of an image
  std::vector<Map<T>> maps;
  int largest = -1, average = -1;
  std::vector<int> identities;
  std::vector<Half> halves;
  Convolutions<T> first;                     // the first stage of all convolutions
  std::vector<int> first_maps;
  std::vector<int64_t> first_weights;        // place of the depthwise weight among all weights; the pointwise one follows
  std::vector<Twice> twice;
  std::vector<int64_t> twice_weights;
  std::vector<int> summed;                   // the maps of the sum
  std::vector<int64_t> active;               // the gains of its operations
  uint8_t* taps = nullptr;                   // (batch, out_pixels, n)
};

// Everything that both passes know of a call.
template <class T>
struct Call {
  Sizes s;
  std::vector<Group<T>> groups;
  int64_t lanes_of_moments = 0;

  Call(const int64_t* sizes, const int64_t* ranges, const int64_t* candidates, const T* const* weights, T* statistics,
       uint8_t* taps, T* const* maps) {
    std::memcpy(&s, sizes, sizeof(Sizes));
    for (int64_t i = 0; i < s.groups; i++) {
      Group<T> g;
      g.start = ranges[2 * i], g.edges = ranges[2 * i + 1] - g.start;
      g.n = g.edges * s.c, g.column = g.start * s.c, g.L = period<T>(g.n), g.size = s.out_pixels() * g.n;
      g.first = {g.n, s.height, s.width, s.c, s.stride, {}, {}, {}, {}};
      groups.push_back(g);
    }
    for (int64_t i = 0; i < s.candidates; i++) {
      Candidate o;
      std::memcpy(&o, candidates + i * sizeof(Candidate) / sizeof(int64_t), sizeof(Candidate));
      Group<T>& g = groups[o.group];
      g.active.push_back(o.gain);
      const auto map = [&](int64_t gain, int64_t norm, bool stored = true) {
        g.maps.push_back({stored ? *maps++ : nullptr, gain, norm, statistics, statistics + g.n, lanes_of_moments});
        statistics += 2 * g.n;
        lanes_of_moments += g.L;
        if (gain >= 0) g.summed.push_back(g.maps.size() - 1);
        return static_cast<int>(g.maps.size()) - 1;
      };
      const auto weight = [&](int64_t k, int64_t size) { return weights[o.weight + k] + g.start * size; };
      const int64_t square = o.kernel * o.kernel * s.c, matrix = s.c * s.c;
      switch (o.kind) {
        case largest_of_nine:
          g.largest = map(o.gain, o.norm);
          g.taps = taps;
          taps += s.batch * g.size;
          break;
        case average_of_nine: g.average = map(o.gain, o.norm); break;
        case identity: g.identities.push_back(map(o.gain, o.norm, false)); break;
        case halved: {
          const int64_t even = s.c / 2, odd = s.c - even;
          g.halves.push_back({map(o.gain, o.norm),
                              {g.n, s.height, s.width, g.edges, even, odd, weight(0, even * s.c), weight(1, odd * s.c)},
                              o.weight});
          break;
        }
        case once:
        case twice:
          g.first.depthwise.push_back(weight(0, square));
          g.first.pointwise.push_back(weight(1, matrix));
          g.first.kernel.push_back(o.kernel);
          g.first.dilation.push_back(o.dilation);
          g.first_maps.push_back(map(o.kind == once ? o.gain : -1, o.norm));
          g.first_weights.push_back(o.weight);
          if (o.kind == once) break;
          g.twice.push_back({g.first_maps.back(), map(o.gain, o.norm + 1),
                             {g.n, s.out_height(), s.out_width(), s.c, 1, {weight(2, square)}, {weight(3, matrix)}, {o.kernel}, {1}}});
          g.twice_weights.push_back(o.weight + 2);
      }
    }
  }
};

template <class T>
void copy_columns(const T* from, int64_t pitch_from, T* to, int64_t pitch_to, int64_t columns, int64_t pixels) {
  for (int64_t p = 0; p < pixels; p++) std::copy_n(from + p * pitch_from, columns, to + p * pitch_to);
}

// The selected channels of an image, and the factors of these channels.
template <class T>
class Chosen {
 public:
  std::vector<int32_t> places;  // (edges, c)
  Array<T> factor;              // (edges, c)

  void read(const Sizes& s, int64_t image, const int64_t* index, const T* attention) {
    places.resize(s.n());
    factor.assign(s.n(), T(1));
    copy_indices(index + (s.per_image ? image * s.n() : 0), s.n(), s.C, places.data());
    if (!attention) return;
    for (int64_t j = 0; j < s.n(); j++) factor[j] = row(s, image, j / s.c, attention)[places[j]];
  }
  // The attention of an edge for an image.
  static const T* row(const Sizes& s, int64_t image, int64_t edge, const T* attention) {
    return attention + ((s.modules > 1 ? edge : 0) * s.batch + image) * s.C;
  }

  // The channels that enter the operations of a group.
  void enter(const Sizes& s, const Group<T>& g, const T* image, T* out) const {
    if (s.bypass()) return of(s, g).enter(image, s.pixels(), out);
    const T* const scale = factor.data() + g.column;
    for (int64_t p = 0; p < s.pixels(); p++)
      for (int64_t e = 0; e < g.edges; e++) {
        const T* __restrict from = image + p * s.C;
        T* __restrict to = out + (p * g.edges + e) * s.C;
        for (int64_t q = 0; q < s.C; q++) to[q] = from[q] * scale[e * s.C + q];
      }
  }

  // The selected channels of the gradients of the nodes that the edges of a group enter, at an image.
  void gather(const Sizes& s, const Group<T>& g, const T* const* g_nodes, int64_t image, T* out) const {
    const int64_t pixels = s.out_pixels(), place = image * pixels * s.C;
    if (s.bypass()) return of(s, g).gather(g_nodes + g.start, place, pixels, out);
    for (int64_t e = 0; e < g.edges; e++) copy_columns(g_nodes[g.start + e] + place, s.C, out + e * s.c, g.n, s.c, pixels);
  }

  // Add the gradient of the entering channels of a group to those of the image and, if wanted, of their factors. The gradient
  // has room for a vector behind it.
  void leave(const Sizes& s, const Group<T>& g, const T* image, const T* gradient, T* gx, T* g_factor) const {
    if (s.bypass()) {
      if (g_factor) of(s, g).products(gradient, image, s.pixels(), g_factor);
      std::vector<const T*> columns;
      for (int64_t e = 0; e < g.edges; e++) columns.push_back(gradient + e * s.c);
      return of(s, g).add(columns.data(), std::vector<int64_t>(g.edges, g.n).data(), s.pixels(), lanes<T>, gx);
    }
    const T* const scale = factor.data() + g.column;
    if (g_factor) std::fill_n(g_factor, g.n, T(0));
    for (int64_t p = 0; p < s.pixels(); p++)
      for (int64_t e = 0; e < g.edges; e++) {
        const T* __restrict from = image + p * s.C;
        const T* __restrict one = gradient + (p * g.edges + e) * s.C;
        T* __restrict to = gx + p * s.C;
        if (g_factor)
          for (int64_t q = 0; q < s.C; q++) g_factor[e * s.C + q] += one[q] * from[q];
        for (int64_t q = 0; q < s.C; q++) to[q] += one[q] * scale[e * s.C + q];
      }
  }

 private:
  Selected<T> of(const Sizes& s, const Group<T>& g) const {
    return {places.data() + g.column, factor.data() + g.column, g.edges, s.c, s.C};
  }
};

// 2x2 max pooling of stride 2, rounding up. Calls body(pixel of the result, places of the maxima of all channels in the image):
// the first maximum or the last NaN.
template <class T, class Body>
void for_largest_of_four(const Sizes& s, const T* image, Body body) {
  typedef typename IndicesOf<T>::number Index;  // as wide as the numbers, so that the loop uses whole vectors
  std::vector<Index> room(s.C);
  Array<T> values(s.C);
  Index* __restrict best = room.data();
  T* __restrict most = values.data();
  for (int64_t i = 0; i < s.out_height(); i++)
    for (int64_t j = 0; j < s.out_width(); j++) {
      for (int64_t a = 2 * i; a < std::min(2 * i + 2, s.height); a++)
        for (int64_t b = 2 * j; b < std::min(2 * j + 2, s.width); b++) {
          const Index at = (a * s.width + b) * s.C;
          const T* __restrict pixel = image + at;
          const bool first = a == 2 * i && b == 2 * j;
          for (int64_t c = 0; c < s.C; c++) {
            const T value = pixel[c], before = most[c];
            const Index other = best[c];
            const bool larger = first || value > before || value != value;
            most[c] = larger ? value : before;
            best[c] = larger ? Index(at + c) : other;
          }
        }
      body(i * s.out_width() + j, best);
    }
}

// The gain of every summed map of a group, (maps, n).
template <class T>
Array<T> gains_of(const Sizes& s, const Group<T>& g, const T* gain) {
  Array<T> result;
  for (int k : g.summed) {
    const T* row = gain + g.maps[k].gain * s.n() + g.column;
    result.insert(result.end(), row, row + g.n);
  }
  return result;
}

// With `constants`, call body(row) for the gains of the operations that a group does not compute (their output counts as 1).
template <class T, class Body>
void for_constants(const Sizes& s, const Group<T>& g, Body body) {
  for (int64_t o = 0; s.constants && o < s.gains; o++)
    if (std::find(g.active.begin(), g.active.end(), o) == g.active.end()) body(o);
}

// Statistics of the summed maps, one after the other.
template <class T>
void statistics_of(const Group<T>& g, Array<T>& mean, Array<T>& inv_std) {
  for (int k : g.summed) {
    mean.insert(mean.end(), g.maps[k].mean, g.maps[k].mean + g.n);
    inv_std.insert(inv_std.end(), g.maps[k].inv_std, g.maps[k].inv_std + g.n);
  }
}

// Numbers that are written before they are read.
template <class T>
std::unique_ptr<T[]> uninitialized(int64_t count) {
  return std::unique_ptr<T[]>(new T[count]);
}

}  // namespace

// Results: a number for every edge's gradient to come back to, then the sums of the operations (batch, out_pixels, n), gates
// (edges, batch, C), bypassing feature map if the stride is 2, statistics, taps and maps (see Call).
template <class T>
void edges(const int64_t* sizes, const T* x, const int64_t* index, const T* attention, const T*, const T*, const int32_t*,
           const T*, const T*, const T* beta, const T* gain, const T* const* weights, T* const* running_mean, T* const* running_var,
           int64_t* const* counters, const int64_t*, const int64_t* ranges, const int64_t* candidates, double momentum, double eps,
           int64_t updates, T* const* results, int64_t threads) {
  T* const* const made = results + reinterpret_cast<const Sizes*>(sizes)->edges;
  T *const mixed = made[0], *const gates = made[1], *const bypass = made[2];
  Call<T> call(sizes, ranges, candidates, weights, made[3], reinterpret_cast<uint8_t*>(made[4]), made + 5);
  const Sizes& s = call.s;
  const int64_t pixels = s.out_pixels();
  std::vector<std::vector<Moments>> moments(threads);
  const auto measure = [&](const Map<T>& map, const Group<T>& g, int64_t image, int share) {
    if (s.training && map.norm >= 0)
      add_moments(map.data + image * g.size, 0, g.size, g.L, moments[share].data() + map.lane);
  };
  // Mean and deviation of a map whose moments are complete.
  const auto finish = [&](const Map<T>& map, const Group<T>& g) {
    Array<T> variance(g.n, T(1));
    const int64_t start = g.start * s.c;
    if (map.norm < 0) {
      std::fill_n(map.mean, g.n, T(0));
      return std::fill_n(map.inv_std, g.n, T(1)), void();
    }
    if (s.training) {
      combine(moments, map.lane, g.L, g.n, map.mean, variance.data());
      if (updates) {
        update_running(g.n, s.batch * pixels, momentum, map.mean, variance.data(), running_mean[map.norm] + start,
                       running_var[map.norm] + start);
        for (int64_t e = g.start; e < g.start + g.edges; e++) counters[map.norm][e]++;
      }
    } else {
      std::copy_n(running_mean[map.norm] + start, g.n, map.mean);
      std::copy_n(running_var[map.norm] + start, g.n, variance.begin());
    }
    inverse_deviation(g.n, variance.data(), eps, map.inv_std);
  };

  // Phase 1: select, pool, and the first convolutions.
  std::vector<Pools<T>> pools;
  std::vector<SeparableForward<T>> first;
  std::vector<std::vector<typename Halves<T>::Weights>> halves(call.groups.size());
  for (size_t i = 0; i < call.groups.size(); i++) {
    const Group<T>& g = call.groups[i];
    pools.emplace_back(Pooled{g.n, s.height, s.width, s.stride});
    first.emplace_back(g.first, nullptr, nullptr);
    halves[i] = std::vector<typename Halves<T>::Weights>(g.halves.size());
    for (size_t h = 0; h < g.halves.size(); h++) g.halves[h].product.prepare(true, halves[i][h]);
  }
  in_parallel(threads, s.batch, [&](int64_t begin, int64_t end, int share) {
    moments[share].resize(call.lanes_of_moments);
    Chosen<T> chosen;
    Array<T> entering(s.pixels() * s.n()), active, spare(s.out_width() * s.n());
    std::vector<uint8_t> spare_taps(s.out_width() * s.n());
    typename Pools<T>::Room which;
    std::vector<typename SeparableForward<T>::Room> rooms(first.begin(), first.end());
    for (int64_t b = begin; b < end; b++) {
      const T* const image = x + b * s.pixels() * s.C;
      chosen.read(s, b, index, attention);
      if (s.bypass())
        for (int64_t e = 0; e < s.edges; e++) {
          T* const gate = gates + (e * s.batch + b) * s.C;
          const T* const own = attention ? Chosen<T>::row(s, b, e, attention) : nullptr;
          for (int64_t c = 0; c < s.C; c++) gate[c] = (own ? own[c] : T(1)) * (beta ? beta[e] : T(1));
          for (int64_t j = e * s.c; j < (e + 1) * s.c; j++) gate[chosen.places[j]] = 0;
        }
      if (s.bypass() && s.stride == 2)
        for_largest_of_four(s, image, [&](int64_t p, const auto* places) {
          for (int64_t c = 0; c < s.C; c++) bypass[(b * pixels + p) * s.C + c] = image[places[c]];
        });
      for (size_t i = 0; i < call.groups.size(); i++) {
        const Group<T>& g = call.groups[i];
        if (g.maps.empty()) continue;
        chosen.enter(s, g, image, entering.data());
        if (g.largest >= 0 || g.average >= 0) {
          for (int64_t r = 0; r < s.out_height(); r++) {
            const int64_t at = b * g.size + r * s.out_width() * g.n;
            pools[i].row(entering.data(), r, g.largest >= 0 ? g.maps[g.largest].data + at : spare.data(),
                         g.average >= 0 ? g.maps[g.average].data + at : spare.data(), g.taps ? g.taps + at : spare_taps.data(),
                         which);
          }
          for (int map : {g.largest, g.average})
            if (map >= 0) measure(g.maps[map], g, b, share);
        }
        for (size_t h = 0; h < g.halves.size(); h++) {
          const Map<T>& map = g.maps[g.halves[h].map];
          for (int64_t r = 0; r < s.out_height(); r++)
            g.halves[h].product.row(halves[i][h], entering.data(), r, map.data + b * g.size + r * s.out_width() * g.n, active);
          measure(map, g, b, share);
        }
        if (!g.first_maps.empty()) first[i].read(entering.data(), rooms[i]);
        for (size_t k = 0; k < g.first_maps.size(); k++) {
          const Map<T>& map = g.maps[g.first_maps[k]];
          first[i].convolve(k, map.data + b * g.size, rooms[i]);
          measure(map, g, b, share);
        }
      }
    }
  });
  std::vector<SeparableForward<T>> again;
  for (const Group<T>& g : call.groups) {
    std::vector<bool> second(g.maps.size());
    for (const auto& t : g.twice) second[t.second] = true;
    for (size_t k = 0; k < g.maps.size(); k++)
      if (!second[k]) finish(g.maps[k], g);
    for (const auto& t : g.twice) again.emplace_back(t.convolution, g.maps[t.first].mean, g.maps[t.first].inv_std);
  }

  // Phase 2: the second convolutions.
  if (!again.empty()) {
    in_parallel(threads, s.batch, [&](int64_t begin, int64_t end, int share) {
      std::vector<typename SeparableForward<T>::Room> rooms(again.begin(), again.end());
      for (int64_t b = begin; b < end; b++) {
        size_t k = 0;
        for (const Group<T>& g : call.groups)
          for (const auto& t : g.twice) {
            again[k].read(g.maps[t.first].data + b * g.size, rooms[k]);
            again[k].convolve(0, g.maps[t.second].data + b * g.size, rooms[k]);
            measure(g.maps[t.second], g, b, share);
            k++;
          }
      }
    });
    for (const Group<T>& g : call.groups)
      for (const auto& t : g.twice) finish(g.maps[t.second], g);
  }

  // Phase 3: normalize, scale and add.
  std::vector<WeightedSum<T>> sums;
  for (const Group<T>& g : call.groups) {
    Array<T> mean, inv_std, constant(g.n);
    statistics_of(g, mean, inv_std);
    for_constants(s, g, [&](int64_t row) {
      for (int64_t c = 0; c < g.n; c++) constant[c] += gain[row * s.n() + g.column + c];
    });
    sums.emplace_back(g.n, g.summed.size(), mean.data(), inv_std.data(), gains_of(s, g, gain).data(), constant.data());
  }
  in_parallel(threads, s.batch, [&](int64_t begin, int64_t end, int) {
    Chosen<T> chosen;
    Array<T> entering, room(call.groups.size() > 1 ? pixels * s.n() : 0);
    for (int64_t b = begin; b < end; b++) {
      chosen.read(s, b, index, attention);
      T* const out = mixed + b * pixels * s.n();
      for (size_t i = 0; i < call.groups.size(); i++) {
        const Group<T>& g = call.groups[i];
        if (!g.identities.empty()) {
          entering.resize(s.pixels() * s.n());
          chosen.enter(s, g, x + b * s.pixels() * s.C, entering.data());
        }
        std::vector<const T*> maps;
        for (int k : g.summed) maps.push_back(g.maps[k].data ? g.maps[k].data + b * g.size : entering.data());
        sums[i].run(maps.data(), 0, g.size, g.n == s.n() ? out : room.data());
        if (g.n < s.n()) copy_columns(room.data(), g.n, out + g.column, s.n(), g.n, pixels);
      }
    }
  });
}

// Backward pass: `g_nodes` are the gradients of the nodes that the edges enter. Results: the gradients of x, reduce, expand, beta,
// gain and, of so many numbers, all weights; those of weights only if `of_weights` is set.
template <class T>
void edges_backward(const int64_t* sizes, const int64_t* lengths, const T* const* g_nodes, const T* x, const int64_t* index, const T* attention,
                    const T* mean, const T* largest, const int32_t* pixel, const T* reduce, const T* expand, const T* beta,
                    const T* gain, const T* const* weights, const T* gates, T* statistics, uint8_t* taps, T* const* maps, const int64_t*,
                    const int64_t* ranges, const int64_t* candidates, int64_t of_weights, T* const* results, int64_t threads) {
  const Call<T> call(sizes, ranges, candidates, weights, statistics, taps, maps);
  const Sizes& s = call.s;
  const int64_t pixels = s.out_pixels(), groups = call.groups.size();
  T *const gx = results[0], *const g_reduce = results[1], *const g_expand = results[2], *const g_beta = results[3],
           *const g_gain = results[4];
  T* const* const g_weights = results + 5;
  std::fill_n(g_gain, s.gains * s.n(), T(0));
  if (of_weights)
    for (int64_t k = 0; lengths[k] >= 0; k++) std::fill_n(g_weights[k], lengths[k], T(0));

  // Phase 1: the gradients of the operations' sums, and what the normalizations of all images need.
  std::vector<std::unique_ptr<T[]>> incoming;  // (batch, out_pixels, n) of every group
  std::vector<GradientSums<T>> sums;
  for (const Group<T>& g : call.groups) {
    Array<T> means, inv_stds;
    statistics_of(g, means, inv_stds);
    incoming.push_back(uninitialized<T>(s.batch * g.size));
    sums.emplace_back(g.n, g.summed.size(), means.data(), threads);
  }
  in_parallel(threads, s.batch, [&](int64_t begin, int64_t end, int share) {
    Chosen<T> chosen;
    Array<T> entering;
    for (int64_t b = begin; b < end; b++) {
      chosen.read(s, b, index, attention);
      for (int64_t i = 0; i < groups; i++) {
        const Group<T>& g = call.groups[i];
        T* const own = incoming[i].get() + b * g.size;
        chosen.gather(s, g, g_nodes, b, own);
        if (!g.identities.empty()) {
          entering.resize(s.pixels() * s.n());
          chosen.enter(s, g, x + b * s.pixels() * s.C, entering.data());
        }
        std::vector<const T*> own_maps;
        for (int k : g.summed) own_maps.push_back(g.maps[k].data ? g.maps[k].data + b * g.size : entering.data());
        sums[i].add(share, own, own_maps.data(), 0, g.size);
      }
    }
  });
  std::vector<std::vector<MapGradient<T>>> through(groups);  // of the summed maps
  std::vector<std::vector<int>> position(groups);            // of a map among the summed ones
  for (int64_t i = 0; i < groups; i++) {
    const Group<T>& g = call.groups[i];
    const Array<T> found = sums[i].all();
    const Array<T> gains = gains_of(s, g, gain);
    position[i].resize(g.maps.size());
    for (size_t k = 0; k < g.summed.size(); k++) {
      const Map<T>& map = g.maps[g.summed[k]];
      position[i][g.summed[k]] = k;
      for (int64_t c = 0; c < g.n; c++) g_gain[map.gain * s.n() + g.column + c] = map.inv_std[c] * found[(k + 1) * g.n + c];
      through[i].emplace_back(g.n, gains.data() + k * g.n, map.mean, map.inv_std, s.training && map.norm >= 0, found.data(),
                              found.data() + (k + 1) * g.n, s.batch * pixels);
    }
    for_constants(s, g, [&](int64_t row) { std::copy_n(found.begin(), g.n, g_gain + row * s.n() + g.column); });
  }

  // Phase 2: through the second convolutions.
  struct Second {
    int64_t group;
    const typename Group<T>::Twice* twice;
    SeparableBackward<T> backward;
    std::unique_ptr<T[]> out;  // the gradient of the first map, normalized
    GradientSums<T> sums;
  };
  std::vector<Second> second;
  for (int64_t i = 0; i < groups; i++)
    for (const auto& t : call.groups[i].twice) {
      const Group<T>& g = call.groups[i];
      const Map<T>& map = g.maps[t.first];
      second.push_back({i, &t, {t.convolution, map.mean, map.inv_std, bool(of_weights)}, uninitialized<T>(s.batch * g.size),
                        {g.n, 1, map.mean, threads}});
    }
  std::vector<std::vector<MapGradient<T>>> inner(groups);  // of the first maps of `twice`
  if (!second.empty()) {
    std::vector<std::vector<typename SeparableBackward<T>::Room>> rooms(second.size());
    for (auto& room : rooms) room.resize(threads);
    in_parallel(threads, s.batch, [&](int64_t begin, int64_t end, int share) {
      for (size_t k = 0; k < second.size(); k++) rooms[k][share] = typename SeparableBackward<T>::Room(second[k].backward);
      Array<T> gradient(pixels * s.n());
      for (int64_t b = begin; b < end; b++)
        for (size_t k = 0; k < second.size(); k++) {
          Second& o = second[k];
          const Group<T>& g = call.groups[o.group];
          const int64_t at = b * g.size;
          const T *const z = g.maps[o.twice->first].data + at, *const from = gradient.data();
          through[o.group][position[o.group][o.twice->second]].run(incoming[o.group].get() + at,
                                                                   g.maps[o.twice->second].data + at, 0, g.size, gradient.data());
          o.backward.image(z, &from, o.out.get() + at, rooms[k][share]);
          o.sums.add(share, o.out.get() + at, &z, 0, g.size);
        }
    });
    for (size_t k = 0; k < second.size(); k++) {
      const Second& o = second[k];
      const Group<T>& g = call.groups[o.group];
      const Map<T>& map = g.maps[o.twice->first];
      const Array<T> found = o.sums.all();
      inner[o.group].emplace_back(g.n, nullptr, map.mean, map.inv_std, s.training && map.norm >= 0, found.data(),
                                  found.data() + g.n, s.batch * pixels);
      if (!of_weights) continue;
      const int64_t weight = g.twice_weights[inner[o.group].size() - 1], kernel = o.twice->convolution.kernel[0];
      o.backward.of_weights(rooms[k], 0, g_weights[weight] + g.start * s.c * kernel * kernel,
                            g_weights[weight + 1] + g.start * s.c * s.c);
    }
  }

  // Phase 3: through everything else, to the node.
  std::vector<Pools<T>> pools;
  std::vector<SeparableBackward<T>> first;
  std::vector<std::vector<typename Halves<T>::Weights>> halves(groups);
  for (int64_t i = 0; i < groups; i++) {
    const Group<T>& g = call.groups[i];
    pools.emplace_back(Pooled{g.n, s.height, s.width, s.stride});
    first.emplace_back(g.first, nullptr, nullptr, bool(of_weights));
    halves[i] = std::vector<typename Halves<T>::Weights>(g.halves.size());
    for (size_t h = 0; h < g.halves.size(); h++) g.halves[h].product.prepare(false, halves[i][h]);
  }
  const Attention<T> mlps{s.batch, s.C, s.modules, s.hidden, reduce, expand};
  struct Room {
    std::vector<typename SeparableBackward<T>::Room> first;
    std::vector<std::vector<typename Halves<T>::Room>> halves;
    typename Attention<T>::Room attention;
    Array<T> beta;
  };
  std::vector<Room> rooms(threads);
  in_parallel(threads, s.batch, [&](int64_t begin, int64_t end, int share) {
    Room& room = rooms[share];
    for (const auto& f : first) room.first.emplace_back(f);
    for (const Group<T>& g : call.groups) room.halves.emplace_back(g.halves.size());
    room.beta.resize(s.edges);
    Chosen<T> chosen;
    const int64_t in_size = s.pixels() * s.C, out_size = pixels * s.C;
    const bool pooled = s.bypass() && s.stride == 2;
    Array<T> entering(s.pixels() * s.n()), g_entering(s.pixels() * s.n() + lanes<T>), spare(s.pixels() * s.n()), scaled;
    Array<T> bypass(pooled ? out_size : 0), g_bypass(pooled ? out_size : 0), of_gates(s.edges * s.C), g_scale(s.n());
    Array<T> g_attention(attention ? s.modules * s.batch * s.C : 0), g_mean(s.C), g_largest(s.C);
    std::vector<Array<T>> gradients;
    typename Pools<T>::Room which;
    for (int64_t b = begin; b < end; b++) {
      const T* const image = x + b * in_size;
      T* const to = gx + b * in_size;
      chosen.read(s, b, index, attention);
      // The gradient of the attention is kept at image 0.
      for (int64_t m = 0; attention && m < s.modules; m++) std::fill_n(g_attention.data() + m * s.batch * s.C, s.C, T(0));
      const auto of_attention = [&](int64_t e) { return g_attention.data() + (s.modules > 1 ? e : 0) * s.batch * s.C; };

      // The bypassing channels.
      if (pooled)
        for_largest_of_four(s, image, [&](int64_t p, const auto* places) {
          for (int64_t c = 0; c < s.C; c++) bypass[p * s.C + c] = image[places[c]];
        });
      const T* const passing = pooled ? bypass.data() : image;
      T* const g_passing = pooled ? g_bypass.data() : to;
      if (!s.bypass()) std::fill_n(to, in_size, T(0));
      if (s.bypass()) {
        std::vector<const T*> own;
        for (int64_t e = 0; e < s.edges; e++) own.push_back(gates + (e * s.batch + b) * s.C);
        gated(g_nodes, b * out_size, own.data(), s.edges, s.C, pixels, passing, g_passing, of_gates.data());
      }
      for (int64_t e = 0; s.bypass() && e < s.edges; e++) {
        T* const of_gate = of_gates.data() + e * s.C;
        for (int64_t j = e * s.c; j < (e + 1) * s.c; j++) of_gate[chosen.places[j]] = 0;
        const T* const score = attention ? Chosen<T>::row(s, b, e, attention) : nullptr;
        for (int64_t c = 0; c < s.C; c++) {
          if (score) of_attention(e)[c] += of_gate[c] * (beta ? beta[e] : T(1));
          room.beta[e] += of_gate[c] * (score ? score[c] : T(1));
        }
      }
      if (pooled) {
        std::fill_n(to, in_size, T(0));
        for_largest_of_four(s, image, [&](int64_t p, const auto* places) {
          for (int64_t c = 0; c < s.C; c++) to[places[c]] = g_bypass[p * s.C + c];
        });
      }

      // The operations.
      std::fill(g_scale.begin(), g_scale.end(), T(0));
      for (int64_t i = 0; i < groups; i++) {
        const Group<T>& g = call.groups[i];
        if (g.maps.empty()) continue;
        const int64_t at = b * g.size;
        const T* const own = incoming[i].get() + at;
        const auto gradient = [&](int map, T* out) {
          through[i][position[i][map]].run(own, g.maps[map].data ? g.maps[map].data + at : nullptr, 0, g.size, out);
        };
        chosen.enter(s, g, image, entering.data());
        gradients.resize(std::max<size_t>(2, g.first_maps.size()));
        for (auto& one : gradients) one.resize(pixels * s.n());
        std::vector<const T*> in;
        size_t next = 0;
        for (size_t k = 0; k < g.first_maps.size(); k++) {
          const int map = g.first_maps[k];
          in.push_back(gradients[k].data());
          if (next < g.twice.size() && g.twice[next].first == map) {
            const Second* from = nullptr;
            for (const Second& o : second)
              if (o.twice == &g.twice[next]) from = &o;
            inner[i][next++].run(from->out.get() + at, g.maps[map].data + at, 0, g.size, gradients[k].data());
          } else {
            gradient(map, gradients[k].data());
          }
        }
        if (in.empty())
          std::fill_n(g_entering.begin(), s.pixels() * g.n, T(0));
        else
          first[i].image(entering.data(), in.data(), g_entering.data(), room.first[i]);
        if (g.largest >= 0 || g.average >= 0) {
          for (int k = 0; k < 2; k++) {
            const int map = k ? g.average : g.largest;
            if (map >= 0)
              gradient(map, gradients[k].data());
            else
              std::fill_n(gradients[k].data(), g.size, T(0));
          }
          const std::vector<uint8_t> none(g.taps ? 0 : g.size, 4);
          pools[i].add_gradient(gradients[0].data(), gradients[1].data(), g.taps ? g.taps + at : none.data(), g_entering.data(),
                                scaled, which);
        }
        for (int map : g.identities) {
          gradient(map, spare.data());
          for (int64_t t = 0; t < g.size; t++) g_entering[t] += spare[t];
        }
        for (size_t h = 0; h < g.halves.size(); h++) {
          gradient(g.halves[h].map, gradients[0].data());
          for (int64_t r = 0; r < s.out_height(); r++)
            g.halves[h].product.row_gradient(halves[i][h], of_weights, gradients[0].data() + r * s.out_width() * g.n,
                                             entering.data(), r, spare.data(), room.halves[i][h]);
          for (int64_t t = 0; t < s.pixels() * g.n; t++) g_entering[t] += spare[t];
        }
        chosen.leave(s, g, image, g_entering.data(), to, attention ? g_scale.data() + g.column : nullptr);
      }
      if (!attention) continue;

      // The attention, and the pooled channels that it is computed from.
      for (int64_t j = 0; j < s.n(); j++) of_attention(j / s.c)[chosen.places[j]] += g_scale[j];
      mlps.image_gradient(g_attention.data(), attention + b * s.C, mean + b * s.C, largest + b * s.C, of_weights, g_mean.data(),
                          g_largest.data(), room.attention);
      for (int64_t c = 0; c < s.C; c++) g_mean[c] /= s.pixels();
      for (int64_t p = 0; p < s.pixels(); p++)
        for (int64_t c = 0; c < s.C; c++) to[p * s.C + c] += g_mean[c];
      for (int64_t c = 0; c < s.C; c++) to[pixel[b * s.C + c] * s.C + c] += g_largest[c];
    }
  });
  if (beta) {
    std::fill_n(g_beta, s.edges, T(0));
    for (const Room& room : rooms)
      for (size_t e = 0; e < room.beta.size(); e++) g_beta[e] += room.beta[e];
  }
  if (!of_weights) return;
  if (attention) {
    std::vector<typename Attention<T>::Room> parts;
    for (Room& room : rooms) parts.push_back(std::move(room.attention));
    mlps.of_weights(parts, g_reduce, g_expand);
  }
  for (int64_t i = 0; i < groups; i++) {
    const Group<T>& g = call.groups[i];
    std::vector<typename SeparableBackward<T>::Room> parts;
    for (Room& room : rooms)
      if (!room.first.empty()) parts.push_back(std::move(room.first[i]));
    for (size_t k = 0; k < g.first_maps.size(); k++) {
      const int64_t weight = g.first_weights[k], kernel = g.first.kernel[k];
      first[i].of_weights(parts, k, g_weights[weight] + g.start * s.c * kernel * kernel, g_weights[weight + 1] + g.start * s.c * s.c);
    }
    for (size_t h = 0; h < g.halves.size(); h++) {
      std::vector<typename Halves<T>::Room> own;
      for (Room& room : rooms)
        if (!room.halves.empty()) own.push_back(std::move(room.halves[i][h]));
      const int64_t even = s.c / 2, outputs[2] = {even, s.c - even};
      for (int half = 0; half < 2; half++)
        g.halves[h].product.of_weights(own, half, g_weights[g.halves[h].weight + half] + g.start * outputs[half] * s.c);
    }
  }
}

// The node that `count` edges enter: the bypassing channels times their gates (batch, C), if any, plus the results of the
// operations at the selected channels. Pixels of the results are `pitch[k]` numbers apart.
template <class T>
void collect(const int64_t* sizes, const int64_t* pitch, const T* const*, const T* const* bypass, const T* const* gates,
             const T* const* mixed, const int64_t* const* index, T* out, int64_t threads) {
  const int64_t batch = sizes[0], pixels = sizes[1], C = sizes[2], c = sizes[3], count = sizes[4], per_image = sizes[5];
  in_parallel(threads, batch, [&](int64_t begin, int64_t end, int) {
    std::vector<int32_t> places(count * c);
    for (int64_t b = begin; b < end; b++) {
      T* const target = out + b * pixels * C;
      if (c == C) {
        for (int64_t p = 0; p < pixels; p++)
          for (int64_t k = 0; k < count; k++) {
            const T* __restrict from = mixed[k] + (b * pixels + p) * pitch[k];
            T* __restrict to = target + p * C;
            for (int64_t q = 0; q < C; q++) to[q] = k ? to[q] + from[q] : from[q];
          }
        continue;
      }
      std::vector<const T*> numbers, gate;
      for (int64_t k = 0; k < count; k++) {
        copy_indices(index[k] + (per_image ? b * c : 0), c, C, places.data() + k * c);
        numbers.push_back(mixed[k] + b * pixels * pitch[k]);
        gate.push_back(gates[k] + b * C);
      }
      gated<T>(bypass, b * pixels * C, gate.data(), count, C, pixels, nullptr, target, nullptr);
      const int64_t following = (batch - 1 - b) * pixels * *std::min_element(pitch, pitch + count);
      Selected<T>(places.data(), nullptr, count, c, C).add(numbers.data(), pitch, pixels, following, target);
    }
  });
}

}  // namespace adarts

ADARTS_KERNEL(edges)
ADARTS_KERNEL(edges_backward)
ADARTS_KERNEL(collect)

// Products of 8-bit rows with their experts' 8-bit matrices on Hopper (sm_90a): what `cuda_grouped.py` compiles and calls.
//
//   out[p, o] = (sum over i of x[p, i] * weight[e_p, o, i]) * x_scale[p] * w_scale[e_p, o]     or the gate of two such
//
// A block has a ring of STAGES tiles in shared memory. One warp has the copy engine fill them; two groups of four warps
// multiply them, 64 rows x 256 channels each, and scale, gate and store. As many blocks as multiprocessors walk over all
// tiles. The two blocks of a cluster take the same channels of neighbouring rows: each copies half of a tile of weights
// into both.
//
// A sum begins at the first input and takes 32 at a time, which gives E4M3 the bits that Triton's kernel gives it.
//
// Compiled with -DWHOLE=1 (int8) or 0 (E4M3) and, each 1 or 0, -DGATED and -DHALF_OUT (float16, else bfloat16).
// Instructions: NVIDIA, "PTX ISA", the section that is named at each; layouts in shared memory: its chapter on wgmma.
#define STAGES 4
#define CLUSTER 2
// Pairs of tiles of rows that go through the same channels one after the other, so that these stay in the cache.
#define GROUP 8
#define ROWS 128
#define COLS 256
#define DEPTH 128
#define A_BYTES (ROWS * DEPTH)
#define B_BYTES (COLS * DEPTH)
#define STAGE_BYTES (A_BYTES + B_BYTES)
// Results of a tile: of a gate and what it gates there is one.
#define WIDE (GATED ? COLS / 2 : COLS)

typedef unsigned int u32;
typedef unsigned long long u64;
// A CUtensorMap, what the copy engine is told of a matrix.
struct __align__(64) Map { u64 opaque[16]; };

#if WHOLE
typedef int Sum;
#define REG "+r"
#else
typedef float Sum;
#define REG "+f"
#endif

__device__ __forceinline__ u32 shared_address(const void* p) { return (u32)__cvta_generic_to_shared(p); }
// "Special registers: %cluster_ctarank".
__device__ __forceinline__ u32 cluster_rank() {
  u32 r; asm volatile("mov.u32 %0, %%cluster_ctarank;" : "=r"(r)); return r;
}
// "barrier.cluster".
__device__ __forceinline__ void cluster_sync() {
  asm volatile("barrier.cluster.arrive.release;\nbarrier.cluster.wait.acquire;" ::: "memory");
}
// "mbarrier": a phase ends when as many have arrived as were told, and as many bytes as are expected. A wait names the parity
// of the phase that it waits for; of a fresh barrier the phase before counts as ended, with parity 1.
__device__ __forceinline__ void barrier_init(u32 bar, u32 count) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(bar), "r"(count) : "memory");
}
__device__ __forceinline__ void barrier_wait(u32 bar, u32 parity) {
  asm volatile(
      "{\n.reg .pred P;\nLAB_WAIT:\n"
      "mbarrier.try_wait.parity.shared::cta.b64 P, [%0], %1;\n"
      "@P bra DONE;\nbra LAB_WAIT;\nDONE:\n}" ::"r"(bar), "r"(parity) : "memory");
}
__device__ __forceinline__ void barrier_expect(u32 bar, u32 bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(bar), "r"(bytes) : "memory");
}
// Arrives at the same barrier of the cluster's block `rank` ("mapa").
__device__ __forceinline__ void barrier_arrive(u32 bar, u32 rank) {
  asm volatile("{\n.reg .b32 remote;\nmapa.shared::cluster.u32 remote, %0, %1;\n"
               "mbarrier.arrive.shared::cluster.b64 _, [remote];\n}" ::"r"(bar), "r"(rank) : "memory");
}
// "cp.async.bulk.tensor": a box of the matrix whose first byte and row are x, y; its bytes count at the barrier.
__device__ __forceinline__ void copy_tile(u32 to, const Map* map, u32 bar, int x, int y, u64 policy) {
  asm volatile(
      "cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes.L2::cache_hint [%0], [%1, {%3, %4}], [%2], %5;"
      ::"r"(to), "l"(map), "r"(bar), "r"(x), "r"(y), "l"(policy) : "memory");
}
// The same into both blocks of a cluster, at the same place and barrier ("multicast::cluster", a bit for each block).
__device__ __forceinline__ void copy_tile_to_both(u32 to, const Map* map, u32 bar, int x, int y, u64 policy) {
  asm volatile(
      "cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes.multicast::cluster.L2::cache_hint"
      " [%0], [%1, {%3, %4}], [%2], %5, %6;"
      ::"r"(to), "l"(map), "r"(bar), "r"(x), "r"(y), "h"((unsigned short)3), "l"(policy) : "memory");
}
// "bar": some warps of a block meet.
__device__ __forceinline__ void named_sync(int id, int threads) {
  asm volatile("bar.sync %0, %1;" ::"r"(id), "r"(threads) : "memory");
}

// "Asynchronous warpgroup level matrix shared memory layout", matrix descriptor: address / 16, bytes between groups of 8 rows
// (1,024) / 16 from bit 32 on, the swizzle by 128 bytes in bit 62. The next 32 inputs are 32 bytes on, inside of the swizzle.
__device__ __forceinline__ u64 matrix(u32 address) {
  return (u64)((address & 0x3FFFF) >> 4) | ((u64)1 << 16) | ((u64)(1024 >> 4) << 32) | ((u64)1 << 62);
}

#define D8(i) REG(d[i]), REG(d[i + 1]), REG(d[i + 2]), REG(d[i + 3]), REG(d[i + 4]), REG(d[i + 5]), REG(d[i + 6]), REG(d[i + 7])
#define D32(i) D8(i), D8(i + 8), D8(i + 16), D8(i + 24)
// "wgmma.mma_async": 64 rows x 256 channels, 32 inputs, both from shared memory; `add` 0 begins a sum.
__device__ __forceinline__ void multiply(Sum (&d)[128], u64 a, u64 b, int add) {
  asm volatile(
      "{\n.reg .pred p;\nsetp.ne.b32 p, %130, 0;\n"
#if WHOLE
      "wgmma.mma_async.sync.aligned.m64n256k32.s32.s8.s8 "
#else
      "wgmma.mma_async.sync.aligned.m64n256k32.f32.e4m3.e4m3 "
#endif
      "{%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "
      "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, "
      "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, "
      "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63, "
      "%64, %65, %66, %67, %68, %69, %70, %71, %72, %73, %74, %75, %76, %77, %78, %79, "
      "%80, %81, %82, %83, %84, %85, %86, %87, %88, %89, %90, %91, %92, %93, %94, %95, "
      "%96, %97, %98, %99, %100, %101, %102, %103, %104, %105, %106, %107, %108, %109, %110, %111, "
      "%112, %113, %114, %115, %116, %117, %118, %119, %120, %121, %122, %123, %124, %125, %126, %127}, "
#if WHOLE
      "%128, %129, p;\n}"
#else
      "%128, %129, p, 1, 1;\n}"
#endif
      : D32(0), D32(32), D32(64), D32(96)
      : "l"(a), "l"(b), "r"(add));
}
// "wgmma.fence", "wgmma.commit_group", "wgmma.wait_group".
__device__ __forceinline__ void products_fence() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
__device__ __forceinline__ void products_commit() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
template <int N> __device__ __forceinline__ void products_wait() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(N) : "memory");
}

__device__ __forceinline__ u32 pack(float low, float high) {
  u32 r;
#if HALF_OUT
  asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(r) : "f"(high), "f"(low));
#else
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(r) : "f"(high), "f"(low));
#endif
  return r;
}
__device__ __forceinline__ float rounded(float x) {
#if HALF_OUT
  float r; asm("{\n.reg .b16 h;\ncvt.rn.f16.f32 h, %1;\ncvt.f32.f16 %0, h;\n}" : "=f"(r) : "f"(x)); return r;
#else
  float r; asm("{\n.reg .b16 h;\ncvt.rn.bf16.f32 h, %1;\ncvt.f32.bf16 %0, h;\n}" : "=f"(r) : "f"(x)); return r;
#endif
}
// silu(gate) * up, by the instructions that Triton's sigmoid and division become.
__device__ __forceinline__ float gate_of(float gate, float up) {
  float e, s;
  asm("ex2.approx.f32 %0, %1;" : "=f"(e) : "f"(__fmul_rn(__fsub_rn(0.0f, gate), 1.4426950408889634f)));
  asm("div.full.f32 %0, %1, %2;" : "=f"(s) : "f"(1.0f), "f"(__fadd_rn(e, 1.0f)));
  return __fmul_rn(__fmul_rn(s, gate), up);
}
__device__ __forceinline__ float scaled(Sum sum, float row, float column) {
  return __fmul_rn(__fmul_rn((float)sum, row), column);
}

// Four words of four lanes, turned: lane t of the four holds word t of each afterwards.
__device__ __forceinline__ void turn(u32 (&w)[4], int t) {
  u32 x, y;
  x = (t & 1) ? w[0] : w[1]; y = __shfl_xor_sync(0xFFFFFFFFu, x, 1); if (t & 1) w[0] = y; else w[1] = y;
  x = (t & 1) ? w[2] : w[3]; y = __shfl_xor_sync(0xFFFFFFFFu, x, 1); if (t & 1) w[2] = y; else w[3] = y;
  x = (t & 2) ? w[0] : w[2]; y = __shfl_xor_sync(0xFFFFFFFFu, x, 2); if (t & 2) w[0] = y; else w[2] = y;
  x = (t & 2) ? w[1] : w[3]; y = __shfl_xor_sync(0xFFFFFFFFu, x, 2); if (t & 2) w[1] = y; else w[3] = y;
}

// A block's tile. `shared`: both blocks of the cluster take the same channels, so each copies half of them for both.
struct Tile { int expert, first, last, strip; bool shared; };

// Walks over the cluster's items: pairs of tiles of rows with one strip, or the odd last tile of rows with two strips.
struct Walk {
  const int* starts; int pairs, experts, strips; u32 rank;
  int expert, base, begin, end, items;

  __device__ __forceinline__ void open() {
    begin = starts ? starts[expert] : 0;
    end = starts ? starts[expert + 1] : pairs;
    int tiles = (end - begin + ROWS - 1) / ROWS, twos = tiles / CLUSTER, odd = tiles - twos * CLUSTER;
    items = tiles ? ((strips + CLUSTER - 1) / CLUSTER) * (CLUSTER * twos + odd) : 0;
  }
  // False where there is no such item; a tile with strip >= strips is nobody's.
  __device__ __forceinline__ bool at(int item, Tile& tile) {
    while (item >= base + items) {
      base += items;
      if (++expert >= experts) { items = 0; return false; }
      open();
    }
    int i = item - base, tiles = (end - begin + ROWS - 1) / ROWS, twos = tiles / CLUSTER, odd = tiles - twos * CLUSTER;
    int groups = max(1, (twos + GROUP - 1) / GROUP), size = ((strips + CLUSTER - 1) / CLUSTER) * CLUSTER * GROUP;
    int group = min(i / size, groups - 1);
    i -= group * size;
    int together = min(GROUP, twos - group * GROUP);
    odd = group == groups - 1 ? odd : 0;
    int unit = CLUSTER * together + odd, step = i / unit, r = i - step * unit;
    bool alone = r >= CLUSTER * together;
    int number;
    if (alone) { tile.strip = step * CLUSTER + rank; number = twos * CLUSTER; }
    else { tile.strip = step * CLUSTER + r / together; number = (group * GROUP + r % together) * CLUSTER + rank; }
    tile.expert = expert; tile.first = begin + number * ROWS; tile.last = end; tile.shared = !alone;
    return true;
  }
  // Whether neither block has anything to do, which both see alike.
  __device__ __forceinline__ bool nobody(const Tile& tile) const { return tile.shared && tile.strip >= strips; }
};

extern "C" __global__ void __launch_bounds__(384, 1) __cluster_dims__(CLUSTER, 1, 1)
grouped(const __grid_constant__ Map a_map, const __grid_constant__ Map b_map, const float* __restrict__ x_scale,
        const float* __restrict__ w_scale, const int* __restrict__ starts, void* __restrict__ out, int pairs, int experts,
        int outputs, int inputs, int strips) {
  extern __shared__ unsigned char raw[];
  __shared__ __align__(8) u64 full[STAGES], empty[STAGES];
  __shared__ float scales[2][2][COLS];
  // A swizzle by 128 bytes repeats every 1,024.
  const u32 ring = (shared_address(raw) + 1023) & ~1023u;
  const u32 full0 = shared_address(full), empty0 = shared_address(empty);
  const int group = threadIdx.x / 128, thread = threadIdx.x % 128;
  const u32 rank = cluster_rank();
  const int steps = (inputs + DEPTH - 1) / DEPTH;

  if (threadIdx.x == 0) {
    // A tile is full by the copies of one thread, empty when both groups of every block that it was copied into are done.
    for (int s = 0; s < STAGES; ++s) { barrier_init(full0 + 8 * s, 1); barrier_init(empty0 + 8 * s, 2 * CLUSTER); }
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
    asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
  }
  cluster_sync();

  Walk walk{starts, pairs, experts, strips, rank, 0, 0, 0, 0, 0};
  walk.open();
  Tile tile;
  u32 stage = 0, parity = 0;

  if (group == 0) {
    // "setmaxnreg": 128 threads with 40 registers and 256 with 232 are what a multiprocessor has.
    asm volatile("setmaxnreg.dec.sync.aligned.u32 40;");
    if (threadIdx.x == 0) {
      // No tile is to be kept longer than others. With evict_last for the rows the gated product of Mixtral 8x7B was 3 % faster
      // at 2,048 and 32,768 tokens, the others were not, and what it pushes out of the cache was not measured.
      u64 policy;
      asm volatile("createpolicy.fractional.L2::evict_normal.b64 %0, 1.0;" : "=l"(policy));
      for (int item = blockIdx.x / CLUSTER; walk.at(item, tile); item += gridDim.x / CLUSTER) {
        if (walk.nobody(tile)) continue;
        int strip = min(tile.strip, strips - 1);
        int line0 = tile.expert * outputs * (GATED ? 2 : 1) + strip * WIDE;
        int line1 = GATED ? line0 + outputs : line0 + COLS / 2;
        for (int k = 0; k < steps; ++k) {
          u32 to = ring + stage * STAGE_BYTES, bar = full0 + 8 * stage;
          barrier_wait(empty0 + 8 * stage, parity ^ 1);
          barrier_expect(bar, STAGE_BYTES);
          copy_tile(to, &a_map, bar, k * DEPTH, tile.first, policy);
          if (tile.shared) {
            copy_tile_to_both(to + A_BYTES + rank * (B_BYTES / 2), &b_map, bar, k * DEPTH, rank ? line1 : line0, policy);
          } else {
            copy_tile(to + A_BYTES, &b_map, bar, k * DEPTH, line0, policy);
            copy_tile(to + A_BYTES + B_BYTES / 2, &b_map, bar, k * DEPTH, line1, policy);
          }
          if (++stage == STAGES) { stage = 0; parity ^= 1; }
        }
      }
    }
    __syncwarp();
  } else {
    asm volatile("setmaxnreg.inc.sync.aligned.u32 232;");
    const int who = group - 1, warp = thread / 32, lane = thread % 32, t = lane % 4;
    int turn_of = 0;
    for (int item = blockIdx.x / CLUSTER; walk.at(item, tile); item += gridDim.x / CLUSTER) {
      if (walk.nobody(tile)) continue;
      const int row = tile.first + who * 64 + warp * 16 + lane / 4;
      const bool active = tile.first + who * 64 < tile.last && tile.strip < strips;
      // Scales on their way while the products are made.
      float row_scale[2], column_scale[2];
      row_scale[0] = active && row < tile.last ? x_scale[row] : 0.0f;
      row_scale[1] = active && row + 8 < tile.last ? x_scale[row + 8] : 0.0f;
      {
        const long long of = (long long)tile.expert * outputs * (GATED ? 2 : 1);
        const int one = min(tile.strip * WIDE + thread, outputs - 1);
        const int other = GATED ? one + outputs : min(tile.strip * WIDE + thread + 128, outputs - 1);
        column_scale[0] = w_scale[of + one];
        column_scale[1] = w_scale[of + other];
      }
      Sum d[128];
      if (active) {
        for (int k = 0; k < steps; ++k) {
          const u32 at = ring + stage * STAGE_BYTES;
          barrier_wait(full0 + 8 * stage, parity);
          const u64 a = matrix(at + who * 64 * DEPTH), b = matrix(at + A_BYTES);
          products_fence();
#pragma unroll
          for (int part = 0; part < DEPTH / 32; ++part) multiply(d, a + 2 * part, b + 2 * part, k | part);
          products_commit();
          // While these are made, the tile of the ones before is given back.
          if (k) {
            products_wait<1>();
            const u32 before = stage ? stage - 1 : STAGES - 1;
            if (thread < CLUSTER) barrier_arrive(empty0 + 8 * before, thread);
          }
          if (++stage == STAGES) { stage = 0; parity ^= 1; }
        }
        products_wait<0>();
        const u32 before = stage ? stage - 1 : STAGES - 1;
        if (thread < CLUSTER) barrier_arrive(empty0 + 8 * before, thread);
      } else {  // rows beyond the expert's last: only the tiles are given back
        for (int k = 0; k < steps; ++k) {
          barrier_wait(full0 + 8 * stage, parity);
          if (thread < CLUSTER) barrier_arrive(empty0 + 8 * stage, thread);
          if (++stage == STAGES) { stage = 0; parity ^= 1; }
        }
        continue;
      }
      float* mine = scales[who][turn_of];
      turn_of ^= 1;
      mine[thread] = column_scale[0];
      mine[thread + 128] = column_scale[1];
      named_sync(2 + who, 128);
      // Where sums lie ("register fragments, wgmma .m64nNk32 D"): d[4n], d[4n + 1] are row lane / 4 of the warp's 16, channels
      // 8n + 2t and the next; d[4n + 2], d[4n + 3] the same channels of the row 8 below.
      unsigned char* to0 = (unsigned char*)out + 2 * ((long long)row * outputs + tile.strip * WIDE);
      unsigned char* to1 = to0 + 16LL * outputs;
#pragma unroll
      for (int block = 0; block < WIDE / 32; ++block) {
        u32 upper[4], lower[4];
#pragma unroll
        for (int j = 0; j < 4; ++j) {
          const int n = block * 4 + j;
          const float2 c = *(const float2*)(mine + n * 8 + 2 * t);
#if GATED
          const float2 u = *(const float2*)(mine + 128 + n * 8 + 2 * t);
          const Sum *g = d + 4 * n, *p = d + 64 + 4 * n;
          upper[j] = pack(gate_of(rounded(scaled(g[0], row_scale[0], c.x)), rounded(scaled(p[0], row_scale[0], u.x))),
                          gate_of(rounded(scaled(g[1], row_scale[0], c.y)), rounded(scaled(p[1], row_scale[0], u.y))));
          lower[j] = pack(gate_of(rounded(scaled(g[2], row_scale[1], c.x)), rounded(scaled(p[2], row_scale[1], u.x))),
                          gate_of(rounded(scaled(g[3], row_scale[1], c.y)), rounded(scaled(p[3], row_scale[1], u.y))));
#else
          upper[j] = pack(scaled(d[4 * n], row_scale[0], c.x), scaled(d[4 * n + 1], row_scale[0], c.y));
          lower[j] = pack(scaled(d[4 * n + 2], row_scale[1], c.x), scaled(d[4 * n + 3], row_scale[1], c.y));
#endif
        }
        turn(upper, t);
        turn(lower, t);
        const int column = block * 32 + 8 * t;
        const bool inside = tile.strip * WIDE + column < outputs;
        if (inside && row < tile.last) *(uint4*)(to0 + 2 * column) = make_uint4(upper[0], upper[1], upper[2], upper[3]);
        if (inside && row + 8 < tile.last) *(uint4*)(to1 + 2 * column) = make_uint4(lower[0], lower[1], lower[2], lower[3]);
      }
    }
  }
  cluster_sync();
}

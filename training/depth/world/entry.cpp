// The library's functions: build worlds on the processor, render them there or on the GPU.
#include <atomic>
#include <cstring>
#include <functional>
#include <memory>
#include <thread>

#include "camera.h"
#include "render.h"

struct Batch {
    std::vector<World> worlds;
    std::vector<Prim> prims;
    std::vector<Node> nodes;
    std::vector<Mat> mats;
    std::vector<Decal> decals;
    std::vector<Lamp> lamps;
    std::vector<float> fields;
};

static void in_parallel(int n, int threads, const std::function<void(int)> &job) {
    std::atomic<int> next{0};
    auto work = [&] {
        for (int i = next++; i < n; i = next++) job(i);
    };
    std::vector<std::thread> all;
    for (int i = 1; i < std::min(threads, n); i++) all.emplace_back(work);
    work();
    for (auto &t : all) t.join();
}
template <class T> static void append(std::vector<T> &to, const std::vector<T> &from) { to.insert(to.end(), from.begin(), from.end()); }

extern "C" {

int struct_sizes(int *out) {
    const int sizes[7] = {sizeof(World), sizeof(Prim), sizeof(Node), sizeof(Mat), sizeof(Decal), sizeof(Lamp), sizeof(float)};
    memcpy(out, sizes, sizeof(sizes));
    return KINDS;
}
// Worlds of these seeds; counts[7] gets how many entries each array has. Free with `worlds_free`.
void *worlds_build(const uint64_t *seeds, const int *kinds, int n, int threads, int64_t *counts) {
    std::vector<std::unique_ptr<Builder>> built(n);
    in_parallel(n, threads, [&](int i) {
        built[i] = std::make_unique<Builder>(seeds[i]);
        build_world(*built[i], kinds[i]);
    });
    Batch *b = new Batch;
    for (auto &w : built) {
        World world = w->w;
        world.prim0 = (int)b->prims.size(), world.node0 = (int)b->nodes.size(), world.mat0 = (int)b->mats.size();
        world.decal0 = (int)b->decals.size(), world.lamp0 = (int)b->lamps.size();
        if (world.field0 >= 0) world.field0 = (int)b->fields.size();
        append(b->prims, w->prims), append(b->nodes, w->nodes), append(b->mats, w->mats), append(b->decals, w->decals);
        append(b->lamps, w->lamps), append(b->fields, w->field);
        b->worlds.push_back(world);
    }
    const int64_t c[7] = {n, (int64_t)b->prims.size(), (int64_t)b->nodes.size(), (int64_t)b->mats.size(), (int64_t)b->decals.size(), (int64_t)b->lamps.size(), (int64_t)b->fields.size()};
    memcpy(counts, c, sizeof(c));
    return b;
}
// Copies the seven arrays one behind the other, each from the given byte offset.
void worlds_copy(const void *batch, char *to, const int64_t *offsets) {
    const Batch *b = (const Batch *)batch;
    auto put = [&](int i, const void *from, size_t bytes) { if (bytes) memcpy(to + offsets[i], from, bytes); };
    put(0, b->worlds.data(), b->worlds.size() * sizeof(World)), put(1, b->prims.data(), b->prims.size() * sizeof(Prim));
    put(2, b->nodes.data(), b->nodes.size() * sizeof(Node)), put(3, b->mats.data(), b->mats.size() * sizeof(Mat));
    put(4, b->decals.data(), b->decals.size() * sizeof(Decal)), put(5, b->lamps.data(), b->lamps.size() * sizeof(Lamp));
    put(6, b->fields.data(), b->fields.size() * sizeof(float));
}
void worlds_free(void *batch) { delete (Batch *)batch; }
}

static Scene scene_at(const char *base, const int64_t *offsets) {
    return Scene{(const World *)(base + offsets[0]), (const Prim *)(base + offsets[1]), (const Node *)(base + offsets[2]),
                 (const Mat *)(base + offsets[3]), (const Decal *)(base + offsets[4]), (const Lamp *)(base + offsets[5]),
                 (const float *)(base + offsets[6])};
}
HD Planes planes_of(const Planes &p, int64_t image, int64_t pixels) {
    int64_t k = image * pixels;
    return Planes{p.sharp + 3 * k, p.albedo + 3 * k, p.soft + 3 * k, p.soft2 + 3 * k, p.depth + k, p.normal + 3 * k, p.what + k};
}
// What the world at this image looks like in the end: linear light.
HD void finish_pixel(const Planes &p, int64_t i) {
    for (int c = 0; c < 3; c++) p.sharp[3 * i + c] += p.albedo[3 * i + c] * p.soft[3 * i + c];
}

#ifdef __CUDACC__
struct Size {
    int width, height;
};
__device__ inline bool pixel_here(Size z, int &x, int &y) {
    x = blockIdx.x * 16 + (threadIdx.x & 15), y = blockIdx.y * 8 + (threadIdx.x >> 4);
    return x < z.width && y < z.height;
}
__device__ inline Planes planes_here(const Planes &p, Size z) { return planes_of(p, blockIdx.z, (int64_t)z.width * z.height); }

__global__ void __launch_bounds__(128) first_kernel(Scene s, Planes p, Size z) {
    int x, y;
    if (pixel_here(z, x, y)) first_pixel(s, s.worlds[blockIdx.z], x, y, z.width, z.height, planes_here(p, z));
}
__global__ void busy_kernel(Planes p, Size z, int *list, int *count) {
    int x, y;
    if (pixel_here(z, x, y) && busy_pixel(planes_here(p, z), x, y, z.width, z.height))
        list[atomicAdd(count, 1)] = (blockIdx.z * z.height + y) * z.width + x;
}
__global__ void __launch_bounds__(128) refine_kernel(Scene s, Planes p, Size z, int samples, const int *list, const int *count) {
    int n = *count, pixels = z.width * z.height;
    for (int k = blockIdx.x * 128 + threadIdx.x; k < n; k += gridDim.x * 128) {
        int image = list[k] / pixels, i = list[k] % pixels;
        refine_pixel(s, s.worlds[image], i % z.width, i / z.width, z.width, z.height, samples, planes_of(p, image, pixels));
    }
}
__global__ void __launch_bounds__(128) soft_kernel(Scene s, Planes p, Size z) {
    int x = blockIdx.x * 16 + (threadIdx.x & 15), y = blockIdx.y * 8 + (threadIdx.x >> 4);
    if (2 * x < z.width && 2 * y < z.height) soft_pixels(s, s.worlds[blockIdx.z], x, y, z.width, z.height, planes_here(p, z));
}
__global__ void smooth_kernel(Planes p, Size z, int step, int flip) {
    int x, y;
    if (!pixel_here(z, x, y)) return;
    Planes q = planes_here(p, z);
    smooth_pixel(q, flip ? q.soft2 : q.soft, flip ? q.soft : q.soft2, x, y, z.width, z.height, step);
}
__global__ void finish_kernel(Planes p, int64_t pixels) {
    int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
    if (i < pixels) finish_pixel(p, i);
}
#endif

extern "C" {
// Everything points into the processor's memory; `list` is not used.
void render_cpu(const char *base, const int64_t *offsets, const Planes *planes, int *, int images, int width, int height, int samples, int passes, int threads) {
    Scene s = scene_at(base, offsets);
    int64_t pixels = (int64_t)width * height;
    auto rows = [&](int step, const std::function<void(const World &, const Planes &, int)> &row) {
        int per_image = (height + step - 1) / step;
        in_parallel(images * per_image, threads, [&](int k) {
            int image = k / per_image;
            row(s.worlds[image], planes_of(*planes, image, pixels), k % per_image);
        });
    };
    std::vector<uint8_t> busy(images * pixels);
    rows(1, [&](const World &w, const Planes &p, int y) {
        for (int x = 0; x < width; x++) first_pixel(s, w, x, y, width, height, p);
    });
    rows(1, [&](const World &w, const Planes &p, int y) {
        for (int x = 0; x < width; x++) busy[(&w - s.worlds) * pixels + (int64_t)y * width + x] = busy_pixel(p, x, y, width, height);
    });
    rows(1, [&](const World &w, const Planes &p, int y) {
        for (int x = 0; x < width; x++)
            if (busy[(&w - s.worlds) * pixels + (int64_t)y * width + x]) refine_pixel(s, w, x, y, width, height, samples, p);
    });
    rows(2, [&](const World &w, const Planes &p, int y) {
        for (int x = 0; 2 * x < width; x++) soft_pixels(s, w, x, y, width, height, p);
    });
    for (int k = 0; k < passes; k++)
        rows(1, [&](const World &, const Planes &p, int y) {
            for (int x = 0; x < width; x++) smooth_pixel(p, k & 1 ? p.soft2 : p.soft, k & 1 ? p.soft : p.soft2, x, y, width, height, 1 << k);
        });
    for (int64_t i = 0; i < images * pixels; i++) finish_pixel(*planes, i);
}
#ifdef __CUDACC__
// Everything points into the GPU's memory; `list` holds one int per pixel and one more. Returns CUDA's error code.
int render_cuda(const char *base, const int64_t *offsets, const Planes *planes, int *list, int images, int width, int height, int samples, int passes, void *stream) {
    Scene s = scene_at(base, offsets);
    cudaStream_t st = (cudaStream_t)stream;
    Size z{width, height};
    dim3 grid((width + 15) / 16, (height + 7) / 8, images), half((width / 2 + 16) / 16, (height / 2 + 8) / 8, images);
    int64_t pixels = (int64_t)images * width * height;
    cudaMemsetAsync(list + pixels, 0, sizeof(int), st);
    first_kernel<<<grid, 128, 0, st>>>(s, *planes, z);
    busy_kernel<<<grid, 128, 0, st>>>(*planes, z, list, list + pixels);
    refine_kernel<<<1056, 128, 0, st>>>(s, *planes, z, samples, list, list + pixels);
    soft_kernel<<<half, 128, 0, st>>>(s, *planes, z);
    for (int k = 0; k < passes; k++) smooth_kernel<<<grid, 128, 0, st>>>(*planes, z, 1 << k, k & 1);
    finish_kernel<<<(unsigned)((pixels + 255) / 256), 256, 0, st>>>(*planes, pixels);
    return (int)cudaGetLastError();
}
const char *cuda_error(int code) { return cudaGetErrorString((cudaError_t)code); }
#endif
}

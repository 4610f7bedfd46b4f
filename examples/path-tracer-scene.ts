/** A small path tracer as one WGSL kernel, and the batch that renders it in tiles. */
import { RANDOM_WGSL } from './random-wgsl.ts'

export interface Picture {
  /** Tiles along each side. */
  readonly tiles: number
  /** Pixels along each side of a tile. */
  readonly tilePixels: number
  /** Paths of each pixel in one item; every pass adds as many. */
  readonly samples: number
  /** Renderings of the whole picture, each with other paths. */
  readonly passes: number
  readonly seed: number
  /** Pixels of one item. @default a tile */
  readonly step?: number
}

/** Centre and radius; colour; kind: 0 matt, 1 metal, 2 glass, 3 light. */
type Sphere = readonly [
  x: number,
  y: number,
  z: number,
  radius: number,
  colour: Colour,
  kind: number,
]
type Colour = readonly [red: number, green: number, blue: number]

const SPHERES: readonly Sphere[] = [
  [0, 1, 0, 1, [1, 1, 1], 2],
  [-2.2, 1, -0.6, 1, [0.85, 0.25, 0.18], 0],
  [2.2, 1, -0.4, 1, [0.93, 0.78, 0.42], 1],
  [-0.9, 0.3, 1.8, 0.3, [0.15, 0.55, 0.6], 0],
  [0.8, 0.35, 1.9, 0.35, [0.9, 0.9, 0.95], 1],
  [1.7, 0.25, 1.4, 0.25, [0.3, 0.65, 0.25], 0],
  [-1.7, 0.28, 1.1, 0.28, [1, 1, 1], 2],
  [0.05, 0.2, 2.5, 0.2, [0.95, 0.6, 0.15], 0],
  [-2.9, 0.35, 1, 0.35, [0.45, 0.3, 0.75], 0],
  [3, 0.3, 1.2, 0.3, [0.2, 0.35, 0.85], 0],
  [-5, 6.5, 3, 2.4, [4, 3.3, 2.4], 3],
]

/** `pictureBatch` puts the picture's constants before it. */
const WGSL = `
@group(0) @binding(0) var<storage, read> item: array<u32, 4>;
@group(0) @binding(1) var<storage, read> spheres: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> image: array<f32>;
${RANDOM_WGSL}

// A path's numbers depend only on its pixel, its sample and the seed.
fn random() -> f32 {
  return f32(randomBits()) / 16777216.0;
}

fn onSphere() -> vec3f {
  let z = 1.0 - 2.0 * random();
  let turn = 6.2831853 * random();
  let r = sqrt(max(0.0, 1.0 - z * z));
  return vec3f(r * cos(turn), r * sin(turn), z);
}

fn sky(direction: vec3f) -> vec3f {
  let up = 0.5 * (direction.y + 1.0);
  return mix(vec3f(0.95, 0.86, 0.76), vec3f(0.30, 0.48, 0.80), up) * 0.75;
}

struct Hit { distance: f32, index: i32, }

// -1: nothing; -2: the floor; otherwise a sphere.
fn trace(origin: vec3f, direction: vec3f) -> Hit {
  var hit = Hit(1.0e9, -1);
  if (direction.y < -1.0e-5) {
    let t = -origin.y / direction.y;
    if (t > 1.0e-3) { hit = Hit(t, -2); }
  }
  for (var i = 0u; i < SPHERES; i++) {
    let sphere = spheres[2u * i];
    let toCentre = sphere.xyz - origin;
    let along = dot(toCentre, direction);
    let aside = toCentre - along * direction;
    let inside = sphere.w * sphere.w - dot(aside, aside);
    if (inside > 0.0) {
      let half = sqrt(inside);
      var t = along - half;
      if (t < 1.0e-3) { t = along + half; }
      if (t > 1.0e-3 && t < hit.distance) { hit = Hit(t, i32(i)); }
    }
  }
  return hit;
}

fn radiance(start: vec3f, towards: vec3f) -> vec3f {
  var origin = start;
  var direction = towards;
  var light = vec3f(0.0);
  var through = vec3f(1.0);
  for (var bounce = 0u; bounce < BOUNCES; bounce++) {
    let hit = trace(origin, direction);
    if (hit.index == -1) { light += through * sky(direction); break; }
    let point = origin + hit.distance * direction;
    var normal = vec3f(0.0, 1.0, 0.0);
    var colour = vec3f(0.72);
    var kind = 0.0;
    if (hit.index == -2) {
      let check = (i32(floor(point.x * 1.25)) + i32(floor(point.z * 1.25))) & 1;
      if (check == 0) { colour = vec3f(0.22, 0.25, 0.28); }
    } else {
      let sphere = spheres[2u * u32(hit.index)];
      let surface = spheres[2u * u32(hit.index) + 1u];
      normal = (point - sphere.xyz) / sphere.w;
      colour = surface.xyz;
      kind = surface.w;
    }
    if (kind == 3.0) { light += through * colour; break; }
    if (kind == 2.0) {
      let entering = dot(direction, normal) < 0.0;
      let facing = select(-normal, normal, entering);
      let ratio = select(1.5, 1.0 / 1.5, entering);
      let cosine = min(1.0, -dot(direction, facing));
      let bent = refract(direction, facing, ratio);
      let reflectance = 0.04 + 0.96 * pow(1.0 - cosine, 5.0);
      if (dot(bent, bent) == 0.0 || random() < reflectance) { direction = reflect(direction, facing); }
      else { direction = normalize(bent); }
    } else if (kind == 1.0) {
      through *= colour;
      direction = normalize(reflect(direction, normal) + 0.06 * onSphere());
      if (dot(direction, normal) <= 0.0) { break; }
    } else {
      through *= colour;
      direction = normalize(normal + 0.9999 * onSphere());
    }
    origin = point;
  }
  return light;
}

@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
  let place = item[1] + id.x;
  if (place >= item[2]) { return; }
  let pass_ = place / (SIDE * SIDE);
  let within = place % (SIDE * SIDE);
  let tile = within / (TILE * TILE);
  let inTile = within % (TILE * TILE);
  let x = (tile % TILES) * TILE + inTile % TILE;
  let y = (tile / TILES) * TILE + inTile / TILE;
  let eye = vec3f(0.0, 1.9, 7.2);
  let forward = normalize(vec3f(0.0, 0.75, 0.0) - eye);
  let right = normalize(cross(forward, vec3f(0.0, 1.0, 0.0)));
  let up = cross(right, forward);
  var sum = vec3f(0.0);
  for (var s = 0u; s < SAMPLES; s++) {
    state = mixBits(mixBits(y * SIDE + x) ^ mixBits((pass_ * SAMPLES + s) * 0x9e3779b9u + item[3]));
    let u = ((f32(x) + random()) / f32(SIDE) - 0.5) * 0.86;
    let v = (0.5 - (f32(y) + random()) / f32(SIDE)) * 0.86;
    // A rare bright path would leave a white dot.
    sum += min(radiance(eye, normalize(forward + u * right + v * up)), vec3f(4.0));
  }
  image[3u * id.x] = sum.x;
  image[3u * id.x + 1u] = sum.y;
  image[3u * id.x + 2u] = sum.z;
}`

function wgsl({ tiles, tilePixels, samples }: Picture): string {
  return `
const SIDE = ${tiles * tilePixels}u;
const TILES = ${tiles}u;
const TILE = ${tilePixels}u;
const SAMPLES = ${samples}u;
const SPHERES = ${SPHERES.length}u;
const BOUNCES = 6u;
${WGSL}`
}

/** The body of `POST /v1/jobs`. A pixel's paths do not depend on how pixels are split into items. */
export function pictureBatch(picture: Picture): object {
  const { tiles, tilePixels, passes, seed } = picture
  const step = stepOf(picture)
  const spheres = SPHERES.flatMap(([x, y, z, radius, colour, kind]) =>
    [x, y, z, radius].concat(colour, kind),
  )
  return {
    kernel: { wgsl: wgsl(picture), entryPoint: 'main', workgroups: [Math.ceil(step / 64), 1, 1] },
    buffers: [
      { binding: 1, access: 'read', data: toBase64(Float32Array.from(spheres)) },
      { binding: 2, access: 'read_write', sizeBytes: step * 12, return: true },
    ],
    range: { end: passes * (tiles * tilePixels) ** 2, step, binding: 0, seed },
  }
}

/** Red, green and blue of each pixel, row by row, as 0 to 255. */
export function developPicture(
  picture: Picture,
  results: ReadonlyMap<number, Uint8Array>,
): Uint8Array {
  const { tiles, tilePixels, samples, passes } = picture
  const side = tiles * tilePixels
  const step = stepOf(picture)
  const sums = new Float64Array(side * side * 3)
  for (const [index, bytes] of [...results].toSorted(([a], [b]) => a - b)) {
    const values = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4)
    const last = Math.min(step, passes * side * side - index * step)
    for (let i = 0; i < last; i += 1) {
      const at = pixelAt((index * step + i) % (side * side), picture) * 3
      for (let c = 0; c < 3; c += 1) sums[at + c] = (sums[at + c] ?? 0) + (values[i * 3 + c] ?? 0)
    }
  }
  const tone = (light: number) => Math.round(255 * (1 - Math.exp(-1.5 * light)) ** (1 / 2.2))
  return Uint8Array.from(sums, (sum) => tone(sum / (samples * passes)))
}

/** Index in the picture of a position within a pass, which goes tile after tile, each row by row. */
export function pixelAt(within: number, { tiles, tilePixels }: Picture): number {
  const tile = Math.floor(within / tilePixels ** 2)
  const inTile = within % tilePixels ** 2
  const x = (tile % tiles) * tilePixels + (inTile % tilePixels)
  const y = Math.floor(tile / tiles) * tilePixels + Math.floor(inTile / tilePixels)
  return y * tiles * tilePixels + x
}

export function stepOf({ step, tilePixels }: Picture): number {
  return step ?? tilePixels ** 2
}

function toBase64(values: Float32Array): string {
  return Buffer.from(values.buffer).toString('base64')
}

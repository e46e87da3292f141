const stateSize = 624
const shift = 397

/**
 * torch's CPU generator: MT19937 and its way to make float32 normals. The same seed gives the
 * same starting noise as diffusers on CPU (bit-equal below 16 values, 4e-7 above, because
 * torch's vectorised log, sin and cos round differently).
 * Reference: ATen/core/MT19937RNGEngine.h, ATen/native/cpu/DistributionTemplates.h.
 */
export class TorchGenerator {
  readonly #state = new Uint32Array(stateSize)
  #position = stateSize
  /** Small draws make normals in pairs; the second one waits here for the next small draw. */
  #cachedNormal: number | undefined

  /** Only the low 32 bits of the seed count, as in torch. */
  constructor(seed: number | bigint) {
    const state = this.#state
    state[0] = Number(BigInt(seed) & 0xffff_ffffn)
    for (let i = 1; i < stateSize; i++) {
      const previous = state[i - 1] ^ (state[i - 1] >>> 30)
      state[i] = Math.imul(1_812_433_253, previous) + i
    }
  }

  /** Uniform float32 values in [0, 1) with 24 random bits. */
  rand(count: number): Float32Array {
    const values = new Float32Array(count)
    for (let i = 0; i < count; i++) values[i] = (this.#next() & 0xff_ffff) / 0x100_0000
    return values
  }

  /** Standard normal float32 values. */
  randn(count: number): Float32Array {
    if (count < 16) return Float32Array.from({ length: count }, () => this.#nextNormal())
    const values = this.rand(count)
    for (let start = 0; start + 16 <= count; start += 16) boxMuller(values, start)
    if (count % 16 !== 0) {
      // torch draws the last sixteen anew instead of padding the remainder.
      values.set(this.rand(16), count - 16)
      boxMuller(values, count - 16)
    }
    return values
  }

  #nextNormal(): number {
    const cached = this.#cachedNormal
    this.#cachedNormal = undefined
    if (cached !== undefined) return cached
    const angle = 2 * Math.PI * this.#nextDouble()
    const radius = Math.sqrt(-2 * Math.log1p(-this.#nextDouble()))
    this.#cachedNormal = radius * Math.sin(angle)
    return radius * Math.cos(angle)
  }

  /** Uniform with 53 bits: the low ones of a 64-bit draw whose high word comes first. */
  #nextDouble(): number {
    const high = this.#next() & 0x1f_ffff
    return (high * 2 ** 32 + this.#next()) / 2 ** 53
  }

  #next(): number {
    if (this.#position >= stateSize) this.#twist()
    let y = this.#state[this.#position++]
    y ^= y >>> 11
    y ^= (y << 7) & 0x9d2c_5680
    y ^= (y << 15) & 0xefc6_0000
    return (y ^ (y >>> 18)) >>> 0
  }

  #twist(): void {
    const state = this.#state
    for (let k = 0; k < stateSize; k++) {
      const y = (state[k] & 0x8000_0000) | (state[(k + 1) % stateSize] & 0x7fff_ffff)
      state[k] = state[(k + shift) % stateSize] ^ (y >>> 1) ^ (y & 1 ? 0x9908_b0df : 0)
    }
    this.#position = 0
  }
}

/** Turns 16 uniforms into 16 normals in place, with float32 rounding after each operation. */
function boxMuller(values: Float32Array, start: number): void {
  const round = Math.fround
  for (let j = start; j < start + 8; j++) {
    const radius = round(Math.sqrt(round(-2 * round(Math.log(round(1 - values[j]))))))
    const angle = round(round(2 * Math.PI) * values[j + 8])
    values[j] = radius * round(Math.cos(angle))
    values[j + 8] = radius * round(Math.sin(angle))
  }
}

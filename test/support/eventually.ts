import { vi } from 'vitest'

/** Waits generously until the assertion holds; what it returns is returned. */
export async function eventually<T>(assertion: () => T | Promise<T>, timeoutMs = 30_000) {
  return await vi.waitFor(assertion, { timeout: timeoutMs, interval: 50 })
}

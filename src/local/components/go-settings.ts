/**
 * Environment of a program in Go. In tests memory is cheaper than processor time, of which an API
 * server spends a third on collecting garbage.
 */
export function goSettings({ durable }: { readonly durable: boolean }): Record<string, string> {
  return durable ? {} : { GOGC: '400' }
}

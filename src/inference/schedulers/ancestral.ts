/** An ancestral step goes from `from` to `down` and then adds noise of `up`: √(down² + up²) = to. */
export function ancestralSplit(
  from: number,
  to: number,
): { readonly down: number; readonly up: number } {
  const up = from === 0 ? 0 : Math.sqrt((to ** 2 * (from ** 2 - to ** 2)) / from ** 2)
  return { down: Math.sqrt(Math.max(0, to ** 2 - up ** 2)), up }
}

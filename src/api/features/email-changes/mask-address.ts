/** Says enough to recognise an address that one knows: `m***@example.com`. */
export function maskAddress(email: string): string {
  const at = email.lastIndexOf('@')
  const [first = ''] = email.slice(0, Math.max(0, at))
  return `${first}***${at < 0 ? '' : email.slice(at)}`
}

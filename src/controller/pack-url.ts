import { assert } from '../shared/assert.ts'
import type { PackSettings } from './settings.ts'

/**
 * The http folder that a URL of `delivery.fetch` stands for; undefined for s3:// where none is set
 * up. Hugging Face: https://huggingface.co/docs/hub/en/api, files of a revision below `resolve`.
 */
export function packUrl(
  url: string,
  settings: Pick<PackSettings, 'huggingFaceUrl' | 's3Url'>,
): string | undefined {
  const [, scheme, place = ''] = /^([a-z0-9]+):\/\/(.*?)\/*$/.exec(url) ?? []
  if (scheme === 'hf') {
    const [repository, revision = 'main'] = place.split('@')
    return `${settings.huggingFaceUrl}/${repository}/resolve/${encodeURIComponent(revision)}`
  }
  if (scheme === 's3') return settings.s3Url && `${settings.s3Url}/${place}`
  assert(scheme === 'https', 'the schema knows three schemes')
  return `https://${place}`
}

import type { ComponentFacts } from '../models/component-facts.ts'
import { type CheckedPack, checkPack } from '../models/check-pack.ts'
import { readAnyManifest } from '../models/manifest.ts'
import { largestNeedBytes, memoryNeedBytes } from '../models/memory-need.ts'
import { totalBytes } from '../models/pack-files.ts'
import { memoryBudgetBytes } from '../runtime/memory-budget.ts'
import type { Command } from './command.ts'
import { type Output, startByteBar } from './byte-bar.ts'
import { formatBytes, formatTable } from './text.ts'

export type Streams = { readonly stdout: Output; readonly stderr: Output }

/** Prints what a pack is; rejects with the one thing that is wrong with it. */
export async function checkFolder(command: Command, { stdout, stderr }: Streams): Promise<void> {
  const { manifest } = await readAnyManifest(command.path)
  const bar = startByteBar(stderr, totalBytes(manifest.files))
  const pack = await checkPack(command.path, { onBytes: bar.add }).finally(bar.end)
  const budgetBytes = memoryBudgetBytes()
  for (const file of pack.unlistedFiles) {
    stderr.write(`warning: ${file} is not in the manifest’s files; it will never be read\n`)
  }
  stdout.write(
    command.json ? `${JSON.stringify({ ...pack, budgetBytes })}\n` : describe(pack, budgetBytes),
  )
}

function describe(pack: CheckedPack, budgetBytes: number): string {
  const { manifest, digest } = pack
  const sizeBytes = totalBytes(manifest.files)
  return (
    formatTable([
      ['name', manifest.name],
      ['type', manifest.type],
      ['family', manifest.family],
      ['licence', manifest.licence],
      ['files', `${manifest.files.length}, ${formatBytes(sizeBytes)}, digests as listed`],
      ['digest', digest],
      ...baseRows(pack, budgetBytes),
    ]) + describeComponents(pack.components)
  )
}

function baseRows({ manifest }: CheckedPack, budgetBytes: number): readonly (readonly string[])[] {
  if (manifest.type === 'Lora') return [['triggers', manifest.triggerWords?.join(', ') ?? '–']]
  const { width = manifest.sizes.width.max, height = manifest.sizes.height.max } = manifest.defaults
  const needBytes = memoryNeedBytes(manifest, { width, height, imagesPerRun: 1, loras: [] })
  const largestBytes = largestNeedBytes(manifest)
  const { width: widths, height: heights } = manifest.sizes
  const fits = largestBytes <= budgetBytes ? 'fits' : 'does not fit at every size'
  return [
    ['tasks', manifest.tasks.join(', ')],
    ['widths', `${widths.min} to ${widths.max} in steps of ${widths.multipleOf}`],
    ['heights', `${heights.min} to ${heights.max} in steps of ${heights.multipleOf}`],
    ['memory', `${formatBytes(manifest.memory.loadedBytes)} loaded`],
    ['', `${formatBytes(needBytes)} at ${width}x${height}`],
    ['', `${formatBytes(largestBytes)} at ${widths.max}x${heights.max}`],
    ['', `${formatBytes(budgetBytes)} on this machine: it ${fits}`],
  ]
}

function describeComponents(components: readonly ComponentFacts[]): string {
  if (components.length === 0) return ''
  const rows = components.map((component) => [
    component.name,
    String(component.opset),
    component.outputs[0]?.type ?? '–',
    formatBytes(component.graphBytes),
    component.externalFiles.length === 0 ? 'inside' : formatBytes(component.externalBytes),
    component.inputs.map(({ name }) => name).join(' '),
  ])
  const head = ['component', 'opset', 'type', 'graph', 'weights', 'inputs']
  return `\n${formatTable([head, ...rows])}`
}

import { cp, mkdtemp, readFile, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { openComponent } from '../../../src/inference/models/components.ts'
import { openPackFiles } from '../../../src/inference/models/pack-files.ts'
import { Component } from '../../../src/inference/runtime/component.ts'

const fixtures = path.join(import.meta.dirname, 'fixtures')
const closers: (() => Promise<void>)[] = []
afterEach(async () => {
  await Promise.all(closers.splice(0).map((close) => close()))
})

async function openCoercion(): Promise<Component> {
  const graph = await readFile(path.join(fixtures, 'coercion.onnx'))
  const profile = { threads: 1, folder: fixtures, sizeBytes: graph.length }
  const component = await Component.open(graph, profile)
  closers.push(() => component.dispose())
  return component
}

async function openExternal(folder: string): Promise<Component> {
  const component = await openComponent(await openPackFiles(folder), 'external', { threads: 1 })
  closers.push(() => component.dispose())
  return component
}

const one = (value: number) => ({ data: [value], shape: [1] })

describe('a component', () => {
  test('feeds each input in the type and rank that the graph declares', async () => {
    const component = await openCoercion()
    const feeds = { half: one(0.5), ids32: one(10), ids64: one(100), timestep: one(1000) }
    const { echo, sum } = await component.run(feeds)
    expect([...echo.data]).toEqual([1110.5])
    // Half precision has no .5 above 1024.
    expect([...sum.data]).toEqual([1110])
  })

  test('reads names, types and shapes from the graph', async () => {
    const { inputs } = await openCoercion()
    expect(inputs.map(({ name, type, shape }) => [name, type, shape])).toEqual([
      ['half', 'float16', [1]],
      ['ids32', 'int32', [1]],
      ['ids64', 'int64', [1]],
      ['timestep', 'float32', []],
    ])
  })

  test('says which input it was not given', async () => {
    const component = await openCoercion()
    await expect(component.run({ half: one(1) })).rejects.toThrow('“ids32”')
  })

  test('maps weights that lie in a file of their own', async () => {
    const component = await openExternal(fixtures)
    const { y } = await component.run({
      x: { data: new Float32Array(1024).fill(1), shape: [1024] },
    })
    expect([y.data[0], y.data[1023]]).toEqual([1, 1024])
  })

  test('copies out only the outputs that are asked for', async () => {
    const component = await openCoercion()
    const feeds = { half: one(0.5), ids32: one(10), ids64: one(100), timestep: one(1000) }
    expect(Object.keys(await component.run(feeds, ['sum']))).toEqual(['sum'])
    await expect(component.run(feeds, ['product'])).rejects.toThrow('no output “product”')
  })

  test('uses an array of the right type as it is, until the run has ended', async () => {
    const component = await openExternal(fixtures)
    const data = new Float32Array(1024)
    const running = component.run({ x: { data, shape: [1024] } })
    // The run itself begins later: what it sees here shows that there is no copy.
    data[0] = 7
    const { y } = await running
    expect(y.data[0]).toBe(7)
    data[0] = 8
    expect(y.data[0]).toBe(7)
  })

  test('takes a part of a larger array', async () => {
    const component = await openExternal(fixtures)
    const data = new Float32Array(2048).fill(1).subarray(1024)
    const { y } = await component.run({ x: { data, shape: [1024] } })
    expect(y.data[1023]).toBe(1024)
  })

  test('refuses weights behind a link that leads out of the pack', async () => {
    const folder = await mkdtemp(path.join(tmpdir(), 'atelier-external-'))
    closers.push(() => rm(folder, { recursive: true }))
    await cp(path.join(fixtures, 'external'), path.join(folder, 'external'), { recursive: true })
    const weights = path.join(folder, 'external/model.onnx_data')
    await rm(weights)
    await symlink(path.join(fixtures, 'external/model.onnx_data'), weights)
    await expect(openExternal(folder)).rejects.toThrow('external/model.onnx: onnxruntime cannot')
  })
})

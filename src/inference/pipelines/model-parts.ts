import { loraComponents, loraFeeds } from '../lora/feeds.ts'
import type { LoraComponent } from '../lora/layer-names.ts'
import {
  type ComponentProfile,
  type LoraReady,
  openComponent,
  openForLoras,
} from '../models/components.ts'
import type { TextEncoderName } from '../models/model-settings.ts'
import type { PackFiles } from '../models/pack-files.ts'
import type { Component } from '../runtime/component.ts'
import type { AppliedLora } from './request.ts'

/** A graph that is ready to run; LoRAs may be bound to it. */
export type Runnable = Pick<Component, 'inputs' | 'outputs' | 'run'>

export type UnetName = 'unet' | 'unet_inpaint'

/** The graphs of one pack. Each is opened when it is first needed and stays until `close`. */
export class ModelParts {
  readonly #files: PackFiles
  readonly #profile: ComponentProfile
  readonly #plain = new Map<string, Promise<Component>>()
  readonly #loraReady = new Map<string, Promise<LoraReady>>()

  constructor(files: PackFiles, profile: ComponentProfile) {
    this.#files = files
    this.#profile = profile
  }

  has(name: string): boolean {
    return this.#files.has(`${name}/model.onnx`)
  }

  async open(name: string): Promise<Component> {
    return kept(this.#plain, name, () => openComponent(this.#files, name, this.#profile))
  }

  /**
   * The graph with LoRAs bound to it. It is a second session, opened by the first job that has
   * one for this part; jobs without use the plain one.
   */
  async openWithLoras(
    name: UnetName | TextEncoderName,
    loras: readonly AppliedLora[],
  ): Promise<Runnable> {
    const kind: LoraComponent = name === 'unet_inpaint' ? 'unet' : name
    const own = loras.filter(({ lora }) => loraComponents(lora).has(kind))
    if (own.length === 0) return this.open(name)
    const { component, targets } = await kept(this.#loraReady, name, () =>
      openForLoras(this.#files, { name, kind }, this.#profile),
    )
    const bound = loraFeeds(targets, kind, own)
    const { inputs, outputs } = component
    const run: Runnable['run'] = (feeds, fetches) => component.run({ ...feeds, ...bound }, fetches)
    return { inputs, outputs, run }
  }

  async close(): Promise<void> {
    const loraReady = [...this.#loraReady.values()].map(async (part) => (await part).component)
    const settled = await Promise.allSettled([...this.#plain.values(), ...loraReady])
    this.#plain.clear()
    this.#loraReady.clear()
    const open = settled.flatMap((part) => (part.status === 'fulfilled' ? [part.value] : []))
    await Promise.all(open.map((component) => component.dispose()))
  }
}

async function kept<Value>(
  values: Map<string, Promise<Value>>,
  name: string,
  make: () => Promise<Value>,
): Promise<Value> {
  const value = values.get(name) ?? make()
  values.set(name, value)
  return value
}

import { assert } from '../../../../src/shared/assert.ts'
import type { SlotRunner } from '../../../../src/inference/pool/slot.ts'

export type Fault = 'None' | 'Child' | 'Model'

/**
 * A runner without a process. It exists because a child that lives on and can make no picture any
 * more, as after a fault of its GPU, cannot be had on demand.
 */
export class FakeRunner implements SlotRunner {
  /** Folders in the order in which they were loaded, each into a child of its own. */
  readonly loads: string[] = []
  /** Prompts that were asked for, also in vain. */
  readonly prompts: string[] = []
  /** `Child`: this one makes no picture any more. `Model`: nor does any after it. */
  fault: Fault = 'None'
  #end = Promise.withResolvers<void>()
  #alive = true

  get alive(): boolean {
    return this.#alive
  }

  get childEnd(): Promise<void> {
    return this.#end.promise
  }

  readonly load: SlotRunner['load'] = async ({ folder }) => {
    if (this.loads.length > 0) this.die()
    this.loads.push(folder)
    this.#end = Promise.withResolvers()
    this.#alive = true
    if (this.fault === 'Child') this.fault = 'None'
    await Promise.resolve()
  }

  readonly generate: SlotRunner['generate'] = async ({ prompt }) => {
    assert(this.loads.length > 0, 'load comes before generate')
    this.prompts.push(prompt)
    await Promise.resolve()
    if (this.fault !== 'None') throw new Error('CUDA error: an illegal memory access')
    return 'Completed'
  }

  cancel(): void {
    // What it makes is made at once.
  }

  die(): void {
    this.#alive = false
    this.#end.resolve()
  }
}

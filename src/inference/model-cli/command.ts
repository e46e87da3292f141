import { parseArgs } from 'node:util'

export const usage = `Model packs: folders with atelier-model.json.

  npm run model -- check PATH    is the pack whole? prints what it is, or what is wrong
  npm run model -- add PATH      writes or refreshes atelier-model.json of a folder that optimum or
                                 diffusers exported, or that holds one LoRA (.safetensors), and
                                 prints the Model resource to apply
  npm run model -- list PATH     the packs below a folder

  --json                         prints JSON instead of text

For add (what an existing manifest says is kept, unless --force):
  --name NAME                    of the Model                       (the folder's name)
  --licence SPDX                 such as Apache-2.0                 (required at first)
  --family FAMILY                StableDiffusion1, StableDiffusion2, StableDiffusionXL,
                                 LatentConsistency                  (read from the graphs)
  --description TEXT             what it is good at
  --force                        detects everything anew

The answer goes to standard output, progress and errors to standard error.
Exit code: 0 well, 1 the pack is refused, 2 wrong usage.
`

const verbs = ['check', 'add', 'list'] as const

export type Command = {
  readonly verb: (typeof verbs)[number]
  readonly path: string
  readonly json: boolean
  readonly force: boolean
  readonly name?: string
  readonly licence?: string
  readonly family?: string
  readonly description?: string
}

/** An empty problem is a wish for help. */
export type WrongUsage = { readonly problem: string }

/** Reads the arguments after the program's name. */
export function readCommand(args: readonly string[]): Command | WrongUsage {
  const parsed = parse(args)
  if ('problem' in parsed) return parsed
  const { help, json = false, ...forAdd } = parsed.values
  if (help === true) return { problem: '' }
  const [word, path, ...rest] = parsed.positionals
  const verb = verbs.find((one) => one === word)
  if (verb === undefined) return { problem: `say one of ${verbs.join(', ')}` }
  if (path === undefined || rest.length > 0) return { problem: `${verb} takes one PATH` }
  const stray = verb === 'add' ? undefined : Object.keys(forAdd)[0]
  if (stray !== undefined) return { problem: `--${stray} is for add only` }
  return { verb, path, json, force: false, ...forAdd }
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        json: { type: 'boolean' },
        force: { type: 'boolean' },
        name: { type: 'string' },
        licence: { type: 'string' },
        family: { type: 'string' },
        description: { type: 'string' },
        help: { type: 'boolean', short: 'h' },
      },
    })
  } catch (error) {
    return { problem: error instanceof Error ? error.message : String(error) }
  }
}

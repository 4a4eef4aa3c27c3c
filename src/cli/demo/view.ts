/**
 * @module
 * What a person sees of the demo: two columns, as it happens. Plain text when the output is not a terminal.
 */

const WIDTH = 100
const COLUMN = 47

export interface View {
  title(text: string): void
  step(number: number, title: string, story: string): void
  /** One line, left for the bearer side, right for the Unbearer side. */
  sides(left: Cell, right: Cell): void
  note(text: string): void
}

export interface Cell {
  readonly text: string
  readonly mood?: 'good' | 'bad' | 'dim'
}

type Paint = (text: string) => string

interface Palette {
  readonly bold: Paint
  readonly dim: Paint
  readonly good: Paint
  readonly bad: Paint
}

function createPalette(colour: boolean): Palette {
  const paint = (code: number): Paint => (colour ? (text) => `\u001b[${code}m${text}\u001b[0m` : (text) => text)
  return { bold: paint(1), dim: paint(2), good: paint(32), bad: paint(31) }
}

/** A view that writes lines with `write`. */
export function createView(write: (line: string) => void, colour: boolean): View {
  const palette = createPalette(colour)
  const side = ({ text, mood }: Cell): readonly string[] =>
    wrap(text, COLUMN).map((line) => (mood === undefined ? line.padEnd(COLUMN) : palette[mood](line.padEnd(COLUMN))))
  const rule = palette.dim('─'.repeat(WIDTH))
  return {
    title(text) {
      write('')
      write(palette.bold(text))
    },
    step(number, title, story) {
      write('')
      write(rule)
      write(palette.bold(` ${number}  ${title}`))
      for (const line of wrap(story, WIDTH - 4)) write(palette.dim(`    ${line}`))
      write('')
      write(`${palette.dim('bearer token'.padEnd(COLUMN))} ${palette.dim('│')} ${palette.dim('Unbearer')}`)
    },
    sides(left, right) {
      const [lefts, rights] = [side(left), side(right)]
      for (let line = 0; line < Math.max(lefts.length, rights.length); line += 1) {
        write(`${lefts[line] ?? ' '.repeat(COLUMN)} ${palette.dim('│')} ${(rights[line] ?? '').trimEnd()}`)
      }
    },
    note: (text) => write(text),
  }
}

/** Breaks text at spaces into lines of at most `width` characters. */
export function wrap(text: string, width: number): readonly string[] {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    const longer = line === '' ? word : `${line} ${word}`
    if (longer.length > width && line !== '') {
      lines.push(line)
      line = word
    } else line = longer
  }
  return [...lines, line].flatMap((one) => one.match(new RegExp(`.{1,${width}}`, 'gu')) ?? [''])
}

/** Solves a small system by Gaussian elimination with pivoting. Rows are equations. */
export function solveLinear(
  rows: readonly (readonly number[])[],
  right: readonly number[],
): readonly number[] {
  const size = rows.length
  const work = rows.map((row, i) => [...row, right[i]])
  for (let column = 0; column < size; column++) {
    movePivot(work, column)
    for (let row = 0; row < size; row++) {
      if (row !== column) eliminate(work, { row, column })
    }
  }
  return work.map((row, i) => row[size] / row[i])
}

function movePivot(work: number[][], column: number): void {
  let best = column
  for (let row = column + 1; row < work.length; row++) {
    if (Math.abs(work[row][column]) > Math.abs(work[best][column])) best = row
  }
  ;[work[column], work[best]] = [work[best], work[column]]
}

function eliminate(work: number[][], at: { readonly row: number; readonly column: number }): void {
  const pivot = work[at.column]
  const factor = work[at.row][at.column] / pivot[at.column]
  work[at.row] = work[at.row].map((value, i) => value - factor * pivot[i])
}

/** What an epoch is judged by: sums over rows, and what they are to be divided by. */
export class Score {
  loss = 0
  normalizer = 0
  hits = 0
  rows = 0
  neighborsFound = 0
  neighbors = 0

  /** NaN without rows; 0 for rows of bins that weigh nothing. */
  get meanLoss(): number {
    if (this.rows === 0) return Number.NaN
    return this.normalizer === 0 ? 0 : this.loss / this.normalizer
  }

  get accuracy(): number {
    return this.hits / this.rows
  }

  get neighborAccuracy(): number {
    return this.neighborsFound / this.neighbors
  }
}

//go:build race

package rule

// The race detector empties pools at random.
const raceDetector = true

// Scenarios that each have a world of their own. One file, because most of each is waiting: they
// run side by side.
import './deletion.ts'
import './ownership.ts'
import './pods.ts'
import './watch.ts'

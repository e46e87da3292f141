/** `ATELIER_TEST_LONG=1` lets the fault tests wait as long as real outages last. */
export const longTests = process.env['ATELIER_TEST_LONG'] === '1'

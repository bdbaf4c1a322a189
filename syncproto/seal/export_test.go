package seal

// Compress is compress, for tests from outside.
var Compress = compress

// Package tidy holds no code, only tests of the source tree itself: who may
// import whom (imports_test.go), what a package and a file look like
// (source_test.go), and what stands in the repository (tree_test.go). A rule
// that a file has good reason to break is listed with that reason, beside the
// rule.
package tidy

// Command requirements runs the tests of the requirements that operators' documents state, and
// says for each whether it holds. It tests nothing itself: the tests lie beside the code or in
// test/acceptance.
//
//	go run ./test/requirements [-run expression] [-write]
//
// The requirements are the rows of requirements.tsv: id, area, text, where the two documents state
// it, and, for rows that ask for nothing, why. A test proves a row when it is named after it
// (TestT027Tokens) or when a line of its comment says so:
//
//	// Requirements: T001, T010
//
// A row holds when every test of it passed and none was skipped. A row without a test fails.
// Without -run the other tests of test/acceptance, which prove no row, are run and have to pass as
// well. It needs PostgreSQL, Git and the programs that the tests name; `make acceptance` installs
// them.
//
// With -write nothing is run: docs/requirements.md, the rows and their tests, is written again. A
// test of this package compares.
package main

package flows_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/flows"
)

// sectioned are the rows of the requirements that have a section in a script.
func sectioned() []string {
	return strings.Fields(`
		REG03 REG04 REG10 REG11 REG12 REG13 REG15 REG20 REG21 REG22 REG23 REG25
		ISS14 ISS15 ISS16 ISS17 ISS18 ISS19 ISS25
		PRO07 PRO08 PRO09 PRO10 PRO11 PRO12 PRO13 PRO14
		APP06 APP07 APP08 APP09 APP10 APP11 APP12 APP13 APP14 APP15 APP18 APP19
		REN01 REN02 REN03 REN04 REN05 REN06 REN07 REN08 REN09 REN10 REN11 REN12 REN13 REN14 REN15 REN20 REN21 REN22
		INV01 INV02 INV03 INV04 INV05 INV06 INV07 INV08 INV09 INV10 INV11 INV12 INV13 INV14 INV15 INV16 INV17 INV18 INV19
		OFF01 OFF02 OFF03 OFF04 OFF05 OFF06
		OBS01 OBS02 OBS03 OBS04 OBS05 OBS06 OBS09 OBS10 OBS11 OBS12
		FLT01 FLT04 FLT05 FLT06 FLT07 FLT09 FLT12`)
}

// A row cannot lose its last section unnoticed, and one that gets its first is named here.
func TestRowsWithASection(t *testing.T) {
	scripts, err := filepath.Glob(filepath.Join("testdata", "*.txt"))
	if err != nil || len(scripts) == 0 {
		t.Fatalf("%d scripts, %v", len(scripts), err)
	}
	found := map[string]int{}
	for _, path := range scripts {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		sections, err := flows.Sections(string(text))
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		for _, s := range sections {
			for _, row := range s.Rows {
				found[row]++
			}
		}
	}
	for _, row := range sectioned() {
		if found[row] == 0 {
			t.Errorf("%s has no section in any script", row)
		}
	}
	for row := range found {
		if !slices.Contains(sectioned(), row) {
			t.Errorf("%s has a section: name it in the list, so that it stays", row)
		}
	}
}

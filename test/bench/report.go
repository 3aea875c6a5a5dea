package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"strings"
	"text/tabwriter"
)

// Machine says on what kind of machine something was measured.
type Machine struct {
	CPUs int    `json:"cpus"`
	CPU  string `json:"cpu"`
	// Load is the load average of the last minute before the run.
	Load float64 `json:"load"`
}

// ThisMachine describes this one.
func ThisMachine() Machine {
	machine := Machine{CPUs: runtime.NumCPU()}
	info, _ := os.ReadFile("/proc/cpuinfo") // what is not told stays empty
	for line := range strings.Lines(string(info)) {
		if name, value, found := strings.Cut(line, ":"); found && strings.TrimSpace(name) == "model name" {
			machine.CPU = strings.TrimSpace(value)
			break
		}
	}
	load, _ := os.ReadFile("/proc/loadavg")
	if fields := strings.Fields(string(load)); len(fields) > 0 {
		machine.Load, _ = strconv.ParseFloat(fields[0], 64)
	}
	return machine
}

// String is for a table's first line.
func (m Machine) String() string {
	return fmt.Sprintf("%d CPUs, %s, load %.1f before the run", m.CPUs, m.CPU, m.Load)
}

// Report is what a benchmark says at its end.
type Report struct {
	Title string
	// Tables are lists of rows, whose columns are separated by tabs.
	Tables [][]string
	// JSON has the same for programs, and becomes the last line.
	JSON any
}

// Print writes the whole report.
func (r *Report) Print(out io.Writer) error {
	fmt.Fprintf(out, "\n%s\n\n", r.Title)
	for _, rows := range r.Tables {
		table := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
		for _, row := range rows {
			fmt.Fprintln(table, row+"\t")
		}
		if err := table.Flush(); err != nil {
			return err
		}
		fmt.Fprintln(out)
	}
	return json.NewEncoder(out).Encode(r.JSON)
}

// Main is for a TestMain: it runs tests and prints what they put into the report behind the testing package's own last
// line. An empty report, as in the process around an isolated one, is not printed. It returns the exit status.
func (r *Report) Main(run func() int) int {
	code := run()
	if r.Tables == nil {
		return code
	}
	if err := r.Print(os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "report:", err)
		return 1
	}
	return code
}

// Megabytes is the size of a set, from BENCH_MB or else the given one.
func Megabytes(normal int64) (int64, error) { return number("BENCH_MB", normal) }

// Runs is how often to measure, from BENCH_RUNS or else the given number.
func Runs(normal int64) (int64, error) { return number("BENCH_RUNS", normal) }

func number(variable string, normal int64) (int64, error) {
	text := os.Getenv(variable)
	if text == "" {
		return normal, nil
	}
	value, err := strconv.ParseInt(text, 10, 64)
	if err != nil || value < 1 {
		return 0, fmt.Errorf("%s is %q: it has to be a number from 1 on", variable, text)
	}
	return value, nil
}

// MB is a number of bytes in millions, for a table.
func MB(bytes int64) string { return fmt.Sprintf("%.1f", float64(bytes)/1e6) }

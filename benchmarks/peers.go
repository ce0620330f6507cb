// The loop that the agent is compared with in peers.py: it asks devices by gosnmp, and does nothing with what they answer.
//
//	GO111MODULE=off GOPATH=/usr/share/gocode go build -o loop peers.go
//	./loop PORT DEVICES INTERVAL_MS STEP_MS SENSORS INTERFACES
//
// The devices are those of responder.c, from 127.1.0.1 on. Each has a socket and a goroutine, as gosnmp wants it, and its own time in
// the interval, a multiple of STEP_MS. A poll asks sysUpTime, the sensors and six counters an interface, 48 OIDs a request, one after
// the other. For each line on standard input the loop prints how many values it has read, and how many polls failed; it ends with its
// standard input.
package main

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/gosnmp/gosnmp"
)

const oidsARequest = 48

var values, failed int64

func main() {
	var numbers [6]int
	if len(os.Args) != 1+len(numbers) {
		fmt.Fprintln(os.Stderr, "usage: loop PORT DEVICES INTERVAL_MS STEP_MS SENSORS INTERFACES")
		os.Exit(2)
	}
	for i := range numbers {
		number, err := strconv.Atoi(os.Args[1+i])
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
		numbers[i] = number
	}
	port, devices, interval, step := numbers[0], numbers[1], numbers[2], numbers[3]
	requests := requestsFor(numbers[4], numbers[5])
	begin := time.Now()
	for n := 0; n < devices; n++ {
		share := int(uint64(uint32(n)*2654435761) * uint64(interval) >> 32)
		phase := time.Duration(share/step*step) * time.Millisecond
		go poll(n, port, requests, begin.Add(phase), time.Duration(interval)*time.Millisecond)
	}
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		fmt.Println(atomic.LoadInt64(&values), atomic.LoadInt64(&failed))
	}
}

func requestsFor(sensors, interfaces int) [][]string {
	oids := []string{".1.3.6.1.2.1.1.3.0"}
	for i := 1; i <= sensors; i++ {
		oids = append(oids, fmt.Sprintf(".1.3.6.1.4.1.99999.1.%d.0", i))
	}
	for i := 1; i <= interfaces; i++ {
		for _, column := range []string{"31.1.1.1.6", "31.1.1.1.10", "2.2.1.14", "2.2.1.20", "2.2.1.13", "2.2.1.19"} {
			oids = append(oids, fmt.Sprintf(".1.3.6.1.2.1.%s.%d", column, i))
		}
	}
	var requests [][]string
	for ; len(oids) > oidsARequest; oids = oids[oidsARequest:] {
		requests = append(requests, oids[:oidsARequest])
	}
	return append(requests, oids)
}

func poll(n, port int, requests [][]string, next time.Time, interval time.Duration) {
	address := uint32(0x7f010001 + n)
	client := &gosnmp.GoSNMP{
		Target:    fmt.Sprintf("127.%d.%d.%d", address>>16&255, address>>8&255, address&255),
		Port:      uint16(port),
		Community: "public",
		Version:   gosnmp.Version2c,
		Timeout:   2 * time.Second,
		Retries:   1,
		MaxOids:   gosnmp.MaxOids,
	}
	if err := client.Connect(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	for ; ; next = next.Add(interval) {
		time.Sleep(time.Until(next))
		read, complete := -1, true // sysUpTime is none of the device's values
		for _, oids := range requests {
			answer, err := client.Get(oids)
			if err != nil {
				complete = false
				break
			}
			for _, variable := range answer.Variables {
				if variable.Value != nil {
					read++
				}
			}
		}
		if complete {
			atomic.AddInt64(&values, int64(read))
		} else {
			atomic.AddInt64(&failed, 1)
		}
	}
}

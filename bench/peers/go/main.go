// SPDX-License-Identifier: MIT

// The cases of fermata-bench that Go has an answer to, on one processor but for c7.
package main

import (
	"fmt"
	"math/rand"
	"os"
	"runtime"
	"sort"
	"strconv"
	"time"
)

const timing = 700 * time.Millisecond

func print(figure, unit string, value float64) { fmt.Printf("%s %s %.6g\n", figure, unit, value) }

func median(of []float64) float64 {
	sort.Float64s(of)
	return of[len(of)/2]
}

func repeat(round func(measures bool)) {
	for _, measures := range []bool{false, true} {
		length := timing
		if !measures {
			length /= 5
		}
		for begun := time.Now(); ; {
			round(measures)
			if time.Since(begun) >= length {
				break
			}
		}
	}
}

func nsAnOperation(operations int, batch func()) float64 {
	var samples []float64
	repeat(func(measures bool) {
		begun := time.Now()
		batch()
		if measures {
			samples = append(samples, float64(time.Since(begun))/float64(operations))
		}
	})
	return median(samples)
}

func pauses() {
	const tasks, each = 1000, 50
	pauseOften := func(n int, done chan struct{}) {
		for i := 0; i < n; i++ {
			runtime.Gosched()
		}
		done <- struct{}{}
	}
	done := make(chan struct{}, tasks)
	print("c3_pause1000", "ns", nsAnOperation(tasks*each, func() {
		for i := 0; i < tasks; i++ {
			go pauseOften(each, done)
		}
		for i := 0; i < tasks; i++ {
			<-done
		}
	}))
}

func queue() {
	const items = 2000
	for _, capacity := range []int{1, 64} {
		print(fmt.Sprintf("c6_q%d", capacity), "ns", nsAnOperation(items, func() {
			c := make(chan int, capacity)
			go func() {
				for i := 0; i < items; i++ {
					c <- i
				}
				close(c)
			}()
			sum := 0
			for i := range c {
				sum += i
			}
			if sum != items*(items-1)/2 {
				panic("c6: every item arrives")
			}
		}))
	}
}

// Two goroutines take jobs, as a pool does; a job's answer comes by a channel of its own. A figure of
// its own name: no thread need ever be waited for, so it is no detach.
func detach() {
	runtime.GOMAXPROCS(3)
	type job struct {
		x      int
		answer chan int
	}
	jobs := make(chan job, 1000)
	for i := 0; i < 2; i++ {
		go func() {
			for j := range jobs {
				j.answer <- j.x + 1
			}
		}()
	}
	inTurn := func(n int) int {
		x := 0
		answer := make(chan int, 1)
		for i := 0; i < n; i++ {
			jobs <- job{x, answer}
			x = <-answer
		}
		return x
	}
	const lanes, each = 64, 200
	print("c7_goroutines64", "jobs/s", 1e9/nsAnOperation(lanes*each, func() {
		done := make(chan int, lanes)
		for i := 0; i < lanes; i++ {
			go func() { done <- inTurn(each) }()
		}
		for i := 0; i < lanes; i++ {
			if <-done != each {
				panic("c7: every job has run")
			}
		}
	}))
}

func residentBytes() float64 {
	text, _ := os.ReadFile("/proc/self/statm")
	var all, resident float64
	fmt.Sscanf(string(text), "%f %f", &all, &resident)
	return resident * 4096
}

func sleepers() {
	const count = 100_000
	var create, cancel []float64
	bytes := 0.0
	repeat(func(measures bool) {
		stop := make(chan struct{})
		ended := make(chan struct{}, count)
		before := residentBytes()
		begun := time.Now()
		for i := 0; i < count; i++ {
			go func() {
				t := time.NewTimer(time.Hour)
				select {
				case <-t.C:
				case <-stop:
					t.Stop()
				}
				ended <- struct{}{}
			}()
		}
		runtime.Gosched()
		created := time.Since(begun)
		if bytes == 0 {
			bytes = (residentBytes() - before) / count
		}
		begun = time.Now()
		close(stop)
		for i := 0; i < count; i++ {
			<-ended
		}
		if measures {
			create = append(create, float64(created)/count)
			cancel = append(cancel, float64(time.Since(begun))/count)
		}
	})
	print("c9_create", "ns", median(create))
	print("c9_cancel", "ns", median(cancel))
	print("c9_bytes", "B", bytes)
}

func hogs(prefix string, count int) {
	seconds := 10.0
	if text, ok := os.LookupEnv("HOG_SECONDS"); ok {
		seconds, _ = strconv.ParseFloat(text, 64)
	}
	done := make(chan struct{}, count)
	begun := time.Now()
	for i := 0; i < count; i++ {
		go func(seed int64) {
			random := rand.New(rand.NewSource(seed))
			for left := time.Duration(seconds * 1e9 / float64(count)); left > 0; {
				piece := 700*time.Microsecond + time.Duration(random.Int63n(600_000))
				if piece > left {
					piece = left
				}
				for end := time.Now().Add(piece); time.Now().Before(end); {
				}
				left -= piece
				runtime.Gosched()
			}
			done <- struct{}{}
		}(int64(i))
	}
	over := make(chan struct{})
	late := make(chan []float64)
	go func() {
		var us []float64
		for due := begun.Add(time.Millisecond); ; due = due.Add(time.Millisecond) {
			time.Sleep(time.Until(due))
			us = append(us, float64(time.Since(due))/1e3)
			select {
			case <-over:
				late <- us
				return
			default:
			}
		}
	}()
	for i := 0; i < count; i++ {
		<-done
	}
	wall := time.Since(begun).Seconds()
	close(over)
	us := <-late
	sort.Float64s(us)
	at := func(q float64) float64 { return us[int(float64(len(us)-1)*q+0.5)] }
	print(prefix+"_p50", "us", at(0.5))
	print(prefix+"_p99", "us", at(0.99))
	print(prefix+"_max", "us", at(1))
	print(prefix+"_stretch", "ratio", wall/seconds)
}

func main() {
	runtime.GOMAXPROCS(1)
	words := append(os.Args[1:], "", "")
	switch words[0] {
	case "list":
		fmt.Println("c3\nc6\nc7\nc9\nc12\nc12m")
	case "c3":
		pauses()
	case "c6":
		queue()
	case "c7":
		detach()
	case "c9":
		sleepers()
	case "c12":
		hogs("c12", 1)
	case "c12m":
		hogs("c12m", 20)
	case "serve-echo":
		serveEcho(words[1])
	case "serve-http":
		serveHTTP(words[1])
	default:
		fmt.Fprintln(os.Stderr, "usage: peer-go list | <case> | serve-echo <port> | serve-http <port>")
		os.Exit(2)
	}
}

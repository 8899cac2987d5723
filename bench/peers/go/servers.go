// SPDX-License-Identifier: MIT

package main

import (
	"fmt"
	"net"
	"net/http"
	"strings"
)

func listen(port string) net.Listener {
	listener, err := net.Listen("tcp", "127.0.0.1:"+port)
	if err != nil {
		panic(err)
	}
	fmt.Println("ready")
	return listener
}

func serveEcho(port string) {
	listener := listen(port)
	for {
		client, err := listener.Accept()
		if err != nil {
			panic(err)
		}
		go func() {
			defer client.Close()
			buffer := make([]byte, 4096)
			for {
				n, err := client.Read(buffer)
				if err != nil {
					return
				}
				if _, err = client.Write(buffer[:n]); err != nil {
					return
				}
			}
		}()
	}
}

func serveHTTP(port string) {
	hello, oneK := []byte("Hello, World!"), []byte(strings.Repeat("k", 1024))
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		if r.URL.Path == "/1k" {
			w.Write(oneK)
		} else {
			w.Write(hello)
		}
	})
	panic(http.Serve(listen(port), nil))
}

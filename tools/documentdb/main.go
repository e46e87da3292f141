// Command documentdb serves the MongoDB wire protocol from a PostgreSQL with the
// DocumentDB extension, by FerretDB's library package. It holds no state of its own.
package main

import (
	"context"
	"flag"
	"log"
	"os"
	"os/signal"
	"syscall"

	"github.com/FerretDB/FerretDB/v2/ferretdb"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:27017", "address of the MongoDB wire protocol")
	postgres := flag.String("postgresql-url", "", "postgres:// URL of a PostgreSQL with the documentdb extension")
	state := flag.String("state-folder", "", "folder for FerretDB's own small state file")
	flag.Parse()
	if *postgres == "" || *state == "" {
		log.Fatal("documentdb: --postgresql-url and --state-folder are required")
	}
	if err := serve(*listen, *postgres, *state); err != nil {
		log.Fatalf("documentdb: %v", err)
	}
}

func serve(listen, postgres, state string) error {
	if err := os.MkdirAll(state, 0o700); err != nil {
		return err
	}
	telemetry := false
	server, err := ferretdb.New(&ferretdb.Config{
		PostgreSQLURL: postgres,
		ListenAddr:    listen,
		StateDir:      state,
		Telemetry:     &telemetry,
		LogOutput:     os.Stderr,
	})
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	server.Run(ctx)
	return nil
}

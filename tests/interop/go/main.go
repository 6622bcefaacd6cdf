// Interop checks proofs that esctl made with code that nobody of esctl wrote: the tlog-proof and checkpoint formats of
// transparency-dev, and the signed notes and trees of Go's checksum database.
//
//	interop KEY PROOF RECORD [PROOF RECORD]...
package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log"
	"os"

	f_log "github.com/transparency-dev/formats/log"
	"github.com/transparency-dev/formats/proof"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const leafLines = 9

func main() {
	log.SetFlags(0)
	if len(os.Args) < 4 || len(os.Args)%2 != 0 {
		log.Fatal("usage: interop KEY PROOF RECORD [PROOF RECORD]...")
	}
	verifier, err := note.NewVerifier(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	for i := 2; i < len(os.Args); i += 2 {
		told, err := check(verifier, os.Args[i], os.Args[i+1])
		if err != nil {
			log.Fatalf("%s: %v", os.Args[i], err)
		}
		fmt.Println(told)
	}
}

func check(verifier note.Verifier, proofFile, recordFile string) (string, error) {
	data, err := os.ReadFile(proofFile)
	if err != nil {
		return "", err
	}
	record, err := os.ReadFile(recordFile)
	if err != nil {
		return "", err
	}
	var p proof.TLogProof
	if err := p.Unmarshal(data); err != nil {
		return "", err
	}
	signed, err := note.Open(p.Checkpoint, note.VerifierList(verifier))
	if err != nil {
		return "", err
	}
	var head f_log.Checkpoint
	if _, err := head.Unmarshal([]byte(signed.Text)); err != nil {
		return "", err
	}
	lines := bytes.SplitAfterN(p.ExtraData, []byte("\n"), leafLines+2)
	if len(lines) != leafLines+2 {
		return "", fmt.Errorf("no leaf")
	}
	var salt []byte
	if text := string(bytes.TrimSuffix(lines[leafLines], []byte("\n"))); text != "-" {
		if salt, err = hex.DecodeString(text); err != nil {
			return "", err
		}
	}
	digest := sha256.Sum256(append(salt, record...))
	if hex.EncodeToString(digest[:])+"\n" != string(lines[7]) {
		return "", fmt.Errorf("not the bytes of the record")
	}
	steps := make(tlog.RecordProof, len(p.Hashes))
	for i, hash := range p.Hashes {
		steps[i] = hash
	}
	leaf := tlog.RecordHash(bytes.Join(lines[:leafLines], nil))
	root := tlog.Hash(head.Hash)
	if err := tlog.CheckRecord(steps, int64(head.Size), root, int64(p.Index), leaf); err != nil {
		return "", err
	}
	return fmt.Sprintf("%d of %d in %s", p.Index, head.Size, head.Origin), nil
}
